import type { Problems, Range } from './diagnostics.ts';
import { type Located, readYaml } from './located.ts';

export interface FrontMatter {
  readonly front: Located | undefined;
  readonly body: string;
  readonly bodyStart: number;
  /** Where a message about something that is missing goes. */
  readonly head: Range;
}

/** Splits a Markdown file into its front matter and its body. */
export function readFrontMatter(text: string, problems: Problems): FrontMatter {
  const match = /^\uFEFF?(?:---[ \t]*\r?\n)([\s\S]*?)(?:^---[ \t]*(?:\r?\n|$))/m.exec(text);
  if (match?.index !== 0) {
    if (/^\uFEFF?---[ \t]*\r?\n/.test(text)) {
      problems.error('prompt-front-matter', [0, 3], 'the front matter is never closed with a line of `---`');
    }
    return { front: undefined, body: text, bodyStart: 0, head: [0, Math.min(3, text.length)] };
  }
  const start = match[0].indexOf('\n') + 1;
  return {
    front: readYaml(match[1]!, problems, start),
    body: text.slice(match[0].length),
    bodyStart: match[0].length,
    head: [0, 3],
  };
}
