import { readFileSync } from 'node:fs';

/** One case of a data file: `=== title`, the text, `---- MARK`, and what is expected of it. */
export interface Case {
  readonly title: string;
  readonly text: string;
  readonly expected: string;
}

export function readCases(file: string, mark: string): Case[] {
  return readFileSync(file, 'utf8')
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const line = part.indexOf('\n');
      const [text = '', expected = ''] = part.slice(line + 1).split(new RegExp(`^---- ${mark}\\n`, 'm'));
      return { title: part.slice(0, line), text, expected: expected.trim() };
    });
}

/** The data file with what is said now in place of what was expected. */
export function writeCases(cases: readonly Case[], mark: string, say: (text: string) => string): string {
  return cases.map(({ title, text }) => `=== ${title}\n${text}---- ${mark}\n${say(text)}\n\n`).join('');
}
