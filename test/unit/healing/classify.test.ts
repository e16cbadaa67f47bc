import assert from 'node:assert/strict';
import { globSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { classify } from '../../../src/engine/healing/classify.ts';
import { readCases, writeCases } from '../../rig/cases.ts';

/*
 * Outputs as the tools really print them. `=== title`, the output, `---- finds`, and what is read out of it.
 * UPDATE_CASES=1 writes what is found now; look at every change.
 */
const failure = { reason: 'exit-code', message: '`it` ended with exit code 1', exitCode: 1 };

function find(text: string): string {
  return classify(text, failure)
    .map(({ type, tool, message, file, line, subject }) => {
      const place = file === undefined ? '' : ` at ${file}${line === undefined ? '' : `:${line}`}`;
      return `${type} (${tool ?? '-'}): ${message}${place}${subject ? ` ${JSON.stringify(subject)}` : ''}`;
    })
    .join('\n');
}

describe('classify', () => {
  for (const file of globSync(join(import.meta.dirname, 'outputs', '*.txt')).sort()) {
    if (process.env['UPDATE_CASES']) writeFileSync(file, writeCases(readCases(file, 'finds'), 'finds', find));
    for (const { title, text, expected } of readCases(file, 'finds')) {
      it(`${basename(file, '.txt')}: ${title}`, () => assert.equal(find(text), expected));
    }
  }

  it('finds something in any text, in bounded time', () => {
    const words = fc.constantFrom(
      'Error: ',
      'File "',
      '", line ',
      '1',
      '\n',
      'Traceback (most recent call last):',
      ' at ',
      '/x.js:1:2',
      'error',
      '[E0432]',
      ': ',
      '`',
      "'",
      'ModuleNotFoundError',
      'FAILED ',
      '::',
      'EADDRINUSE',
      ' --> ',
      'a'.repeat(50),
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 400 }), (parts) => {
        const started = performance.now();
        assert.ok(classify(parts.join(''), failure).length > 0);
        assert.ok(performance.now() - started < 500);
      }),
      { numRuns: 300 },
    );
    const hostile = `${'File "a", line 1\n'.repeat(10_000)}${'Traceback (most recent call last):\n'.repeat(2_000)}`;
    const started = performance.now();
    classify(hostile.slice(0, 200_000), failure);
    assert.ok(performance.now() - started < 3_000, 'a hostile log hangs the classifier');
  }).timeout(20_000);
});
