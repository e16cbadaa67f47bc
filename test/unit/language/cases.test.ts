import assert from 'node:assert/strict';
import { globSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkAgent } from '../../../src/language/agent/agent.ts';
import { DIAGNOSTICS, type Diagnostic } from '../../../src/language/diagnostics.ts';
import { checkPrompt } from '../../../src/language/prompt/check.ts';
import { LineIndex, renderDiagnostics } from '../../../src/language/text.ts';
import { checkWorkflow } from '../../../src/language/workflow/check.ts';
import { readCases, writeCases } from '../../rig/cases.ts';
import { surroundingsOf } from '../../rig/surroundings.ts';

/*
 * Data files: `=== title`, the text, `---- says`, and what the check says of it. Each diagnostic is shown with the very text
 * that it underlines. UPDATE_CASES=1 writes what is said now; look at every change.
 */
const FILES = {
  'child.workflow.yaml':
    'inputs: { region: { required: true }, count: { type: integer } }\nsteps: { a: { run: echo } }\n',
  'broken.workflow.yaml': 'steps: { a: { runn: echo } }\n',
  'x.workflow.yaml': 'steps: { a: { run: echo } }\n',
  'self.workflow.yaml': 'steps: { a: { workflow: self.workflow.yaml } }\n',
  'review.prompt':
    '---\nschema: { topic: string, depth?: integer }\noutput: { schema: { verdict(enum): [approve, rework] } }\n---\n{{topic}} {{depth}}\n',
};

function check(kind: string, text: string): readonly Diagnostic[] {
  if (kind === 'prompt') return checkPrompt(text).diagnostics;
  if (kind === 'agent') return checkAgent(text).diagnostics;
  return checkWorkflow(text, surroundingsOf(FILES, ['x.workflow.yaml'])).diagnostics;
}

function say(kind: string, text: string): string {
  const index = new LineIndex(text);
  const lines = check(kind, text).flatMap((diagnostic) => {
    const [head = '', ...related] = renderDiagnostics('', text, [diagnostic]);
    const under = text.slice(...diagnostic.range).split('\n')[0]!;
    const end = index.place(diagnostic.range[1]);
    return [
      `${head.slice(1)}  «${under}»${text.slice(...diagnostic.range).includes('\n') ? ` to ${end.line}:${end.column}` : ''}`,
      ...related,
    ];
  });
  return lines.join('\n').trim() || 'nothing';
}

describe('diagnostics', () => {
  const shown = new Set<string>();
  for (const file of globSync(join(import.meta.dirname, 'cases', '*.txt')).sort()) {
    const kind = basename(file).split('-')[0]!;
    if (process.env['UPDATE_CASES'])
      writeFileSync(
        file,
        writeCases(readCases(file, 'says'), 'says', (text) => say(kind, text)),
      );
    describe(basename(file, '.txt'), () => {
      for (const { title, text, expected } of readCases(file, 'says')) {
        it(title, () => {
          assert.equal(say(kind, text), expected);
        });
        for (const match of expected.matchAll(/\[([a-z-]+)\] {2}«/g)) shown.add(match[1]!);
      }
    });
  }
  it('shows every code at least once', () => {
    // What no short text can show is tested in limits.test.ts.
    const elsewhere = new Set(['too-large']);
    assert.deepEqual(
      Object.keys(DIAGNOSTICS).filter((code) => !shown.has(code) && !elsewhere.has(code)),
      [],
    );
  });
});
