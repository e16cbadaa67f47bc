import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { Problems } from '../../../src/language/diagnostics.ts';
import { readAnyYaml } from '../../../src/language/located.ts';
import { readPlainYaml } from '../../../src/language/plain-yaml.ts';
import { readCases } from '../../rig/cases.ts';
import { mutated } from '../../rig/mutation.ts';

/** Whatever the quick reader reads, the full parser reads as the same, without a problem. Gives whether it was read. */
function agrees(text: string): boolean {
  const quick = readPlainYaml(text, 7);
  if (quick === undefined) return false;
  const problems = new Problems();
  const full = readAnyYaml(text, problems, 7);
  assert.deepEqual(problems.list, [], text);
  assert.deepEqual(quick, full, text);
  return true;
}

describe('the quick YAML reader', () => {
  it('reads what workflows are made of', () => {
    const texts = [
      'name: x\nsteps:\n  a:\n    run: echo hi && true\n    depends_on: [b, c]\n',
      'a: 1\nb: -2.5\nc: true\nd: null\ne: "q: #"\nf: \'s\'\ng: 30s\nh: http://x/y#z\ni: ~\nj:\nk: # c\n  l: m\n',
      'run: |\n  one\n   two\n\n  three\nnext: |-\n  x\n',
      'a:\n- x\n- y: 1\n  z: 2\n-   k: v\n    w: { p: [1, "two", three four], q: {} }\nb: []\n',
      '# head\n\na: b # tail\n\n  # deep comment\nc: d\n',
      'on:\n  push: { branches: [main], paths: ["src/**"] }\n',
      'e: ${{ inputs.x }}\nf: a}b\ng: $HOME/x,y\n',
      'a:\n  b:\n    c:\n      d: 1\n  e: 2\nf: 3',
    ];
    for (const text of texts) assert.ok(agrees(text), text);
  });

  it('leaves everything else to the full parser', () => {
    for (const text of [
      'a: &x 1',
      'a: *x',
      'a: !t x',
      'a: "x\\n"',
      "a: 'it''s'",
      'a: >\n  x\n',
      'a: b\n  c',
      'a: b: c',
      '"a": 1',
      '? a\n: b',
      'a: 0x1f',
      'a: 1e3',
      'a: [1,\n2]',
      'a\tb: 1',
      'a: {b}',
      '- - a',
      'a: `x',
      'a: @x',
      'a: 1\na: 2',
      'a: x #',
      'a: +1',
      'a: .5',
    ]) {
      if (text !== 'a: x #') assert.equal(readPlainYaml(text, 0), undefined, text);
    }
  });

  const seeds = [
    ...globSync(join(import.meta.dirname, 'cases', 'workflow-*.txt')).flatMap((file) =>
      readCases(file, 'says').map(({ text }) => text),
    ),
    ...globSync(join(import.meta.dirname, '../../../examples/**/*.workflow.yaml')).map((file) =>
      readFileSync(file, 'utf8'),
    ),
  ];

  it('agrees on mutated files', () => {
    const pieces = [
      '',
      ' ',
      '  ',
      '\n',
      '\n\n',
      '"',
      "'",
      '{ ',
      ' }',
      '[',
      ']',
      ':',
      ': ',
      '- ',
      '-',
      '#',
      ' # c',
      '|\n',
      '|-\n   x\n',
      ',',
      'x',
      '1',
      '.5',
      'true',
      'null',
      '~',
      '0x1',
      '1e3',
      '-',
      '&',
      '*',
      '!',
      '?',
      '%',
      '@',
      '`',
      '>',
      '=',
      'é',
      '\\',
      '$',
      '.',
      '...',
      '---',
    ];
    let read = 0;
    fc.assert(
      fc.property(mutated(seeds, pieces, { least: 0, most: 4, cut: 6 }), (text) => {
        if (agrees(text)) read++;
      }),
      { numRuns: 6_000 },
    );
    assert.ok(read > 1_000, `only ${read} were read, so nothing was compared`);
  }).timeout(60_000);

  it('agrees on texts made of YAML’s own characters', () => {
    const word = fc.constantFrom(
      'a',
      'b',
      'key',
      ': ',
      ':',
      '\n',
      '\n  ',
      '\n    ',
      '- ',
      '"',
      "'",
      '{',
      '}',
      '[',
      ']',
      ', ',
      '#',
      ' ',
      '|',
      '\n- ',
      '1',
      '-1',
      '0',
      'true',
      'x y',
      '$',
      '.',
      '/',
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 25 }).map((words) => words.join('')),
        (text) => void agrees(text),
      ),
      { numRuns: 20_000 },
    );
  }).timeout(60_000);
});
