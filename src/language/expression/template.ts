/** One `${{ … }}` inside a text. Offsets are into that text. */
export interface Placeholder {
  readonly start: number;
  readonly end: number;
  /** The expression between the braces, and where it begins. */
  readonly source: string;
  readonly sourceStart: number;
}

export interface Template {
  readonly placeholders: readonly Placeholder[];
  /** Where a `${{` stands that is never closed. */
  readonly unclosedAt?: number;
  /** True when the whole text is one expression: its value keeps its type. */
  readonly whole: boolean;
}

/** Finds the expressions in a text. Braces and quotes inside CEL strings do not end an expression. */
export function parseTemplate(text: string): Template {
  const placeholders: Placeholder[] = [];
  for (let start = text.indexOf('${{'); start !== -1; ) {
    const close = endOfExpression(text, start + 3);
    if (close === -1) return { placeholders, unclosedAt: start, whole: false };
    placeholders.push({ start, end: close + 2, source: text.slice(start + 3, close), sourceStart: start + 3 });
    start = text.indexOf('${{', close + 2);
  }
  const only = placeholders.length === 1 ? placeholders[0]! : undefined;
  const whole = only !== undefined && text.slice(0, only.start).trim() === '' && text.slice(only.end).trim() === '';
  return { placeholders, whole };
}

export function hasExpression(text: string): boolean {
  return text.includes('${{');
}

function endOfExpression(text: string, from: number): number {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const character = text[i]!;
    if (character === '"' || character === "'") {
      const end = endOfString(text, i);
      if (end === -1) return -1;
      i = end;
    } else if (character === '{') depth++;
    else if (character === '}') {
      if (depth > 0) depth--;
      else if (text[i + 1] === '}') return i;
    }
  }
  return -1;
}

function endOfString(text: string, start: number): number {
  const quote = text[start]!;
  const raw = /[rR]/.test(text[start - 1] ?? '');
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\' && !raw) i++;
    else if (text[i] === quote) return i;
    else if (text[i] === '\n') return -1;
  }
  return -1;
}
