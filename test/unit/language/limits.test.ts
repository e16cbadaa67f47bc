import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { checkAgent } from '../../../src/language/agent/agent.ts';
import { checkPrompt } from '../../../src/language/prompt/check.ts';
import { checkWorkflow } from '../../../src/language/workflow/check.ts';
import { readCases } from '../../rig/cases.ts';
import { mutated } from '../../rig/mutation.ts';
import { surroundingsOf } from '../../rig/surroundings.ts';

const surroundings = surroundingsOf();
const codes = (text: string) => checkWorkflow(text, surroundings).diagnostics.map((diagnostic) => diagnostic.code);

describe('limits of the language', () => {
  it('refuses alias bombs', () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) =>
        `  x${i}: &x${i} [${Array(9)
          .fill(i === 0 ? 'lol' : `*x${i - 1}`)
          .join(', ')}]`,
    );
    assert.ok(codes(`env:\n${levels.join('\n')}\nsteps: { a: { run: x } }`).includes('too-large'));
  });

  it('refuses absurd depth, breadth and size', () => {
    assert.ok(codes('['.repeat(5_000)).includes('too-large'));
    assert.ok(
      codes(`steps:\n${Array.from({ length: 200 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')}`).includes(
        'too-large',
      ),
    );
    assert.ok(codes(`name: ${'x'.repeat(8_000_001)}`).includes('too-large'));
    assert.ok(
      codes(`steps:\n${Array.from({ length: 20_001 }, (_, i) => `  s${i}: { run: x }`).join('\n')}`).includes(
        'too-large',
      ),
    );
  }).timeout(20_000);
});

describe('fuzz: whatever the text, a value and problems, in bounded time', () => {
  const files = globSync(join(import.meta.dirname, 'cases', '*.txt'));
  const seeds = files.flatMap((file) => readCases(file, 'says').map(({ text }) => text));
  const everything = (text: string) => {
    const started = performance.now();
    for (const { diagnostics } of [checkWorkflow(text, surroundings), checkPrompt(text), checkAgent(text)]) {
      for (const { range } of diagnostics)
        assert.ok(
          range[0] >= 0 && range[1] >= range[0] && range[1] <= text.length + 1,
          `a range outside the text: ${range}`,
        );
    }
    assert.ok(performance.now() - started < 2_000, 'checking hangs');
  };

  it('random text', () => {
    fc.assert(fc.property(fc.string({ maxLength: 300, unit: 'binary' }), everything), { numRuns: 500 });
  }).timeout(60_000);

  it('mutated files', () => {
    const pieces = [
      '',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ':',
      '- ',
      '\n',
      '\t',
      '${{',
      '}}',
      '{{',
      '&a ',
      '*a',
      '<<: ',
      '#',
      '|',
      '>',
      '---\n',
      '\0',
      '\r\n',
      '\ud800',
    ];
    fc.assert(fc.property(mutated(seeds, pieces, { least: 1, most: 6, cut: 8 }), everything), { numRuns: 3_000 });
  }).timeout(120_000);
});
