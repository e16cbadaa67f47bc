import type { Diagnostic } from './diagnostics.ts';

/** Line starts of a text; turns offsets into one-based lines and columns (UTF-16 units). */
export class LineIndex {
  private readonly starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.starts.push(at + 1);
  }

  place(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.starts[low]! + 1 };
  }
}

/** `file:line:column: message [code]`, one line a diagnostic and an indented one for each related place. */
export function renderDiagnostics(file: string, text: string, diagnostics: readonly Diagnostic[]): string[] {
  const index = new LineIndex(text);
  return diagnostics.flatMap((diagnostic) => {
    const { line, column } = index.place(diagnostic.range[0]);
    const warning = diagnostic.severity === 'warning' ? 'warning: ' : '';
    const head = `${file}:${line}:${column}: ${warning}${diagnostic.message} [${diagnostic.code}]`;
    const related = (diagnostic.related ?? []).map((place) => {
      if (place.file !== undefined) return `  ${place.file}: ${place.message}`;
      const at = index.place(place.range[0]);
      return `  ${file}:${at.line}:${at.column}: ${place.message}`;
    });
    return [head, ...related];
  });
}
