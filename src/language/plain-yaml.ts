import type { Range } from './diagnostics.ts';
import type { Entry, Located } from './located.ts';

/*
 * Reads the plain part of YAML that nearly all workflow files keep to, some twenty times faster than the full parser: block
 * mappings and lists, scalars on one line, flow collections on one line, literal blocks. At the first thing beyond that, or at
 * anything that might be an error, it gives up, and the full parser decides. A property test holds that whatever it does read, the
 * full parser reads as the very same values at the same places, without a problem.
 */

/** Located values, or undefined when the text needs the full parser. */
export function readPlainYaml(text: string, offset: number): Located | undefined {
  if (UNUSUAL.test(text)) return undefined;
  try {
    return new PlainReader(text, offset).document();
  } catch (error) {
    if (error === BEYOND) return undefined;
    throw error;
  }
}

/** Tabs, carriage returns, byte order marks, control characters, documents and directives: not worth being fast for. */
const UNUSUAL = /[\t\r\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]|^(?:---|\.\.\.|%)/m;

const BEYOND = new Error('beyond plain YAML');

function beyond(): never {
  throw BEYOND;
}

const MAX_DEPTH = 60;
const KEY = /([A-Za-z_][A-Za-z0-9_./-]*):(?=[ \n]|$)/y;
const PLAIN_START = /[A-Za-z0-9_./$(\\^;+=~-]/;
const NUMBER_LIKE = /^[-+.]?[0-9]/;

class PlainReader {
  private readonly text: string;
  private readonly offset: number;
  /** Where the next line with content begins, and how far it is indented. */
  private at = 0;
  private indent = -1;

  constructor(text: string, offset: number) {
    this.text = text;
    this.offset = offset;
  }

  document(): Located {
    this.toContent(0);
    if (this.indent !== 0) beyond();
    const value = this.block(0, 0);
    if (this.at < this.text.length) beyond();
    return value;
  }

  /** Moves to the next line that holds more than blanks and a comment. */
  private toContent(lineStart: number): void {
    const { text } = this;
    let start = lineStart;
    while (start < text.length) {
      let position = start;
      while (text.charCodeAt(position) === 32) position++;
      const code = text.charCodeAt(position);
      if (code !== 10 && code !== 35 && position < text.length) {
        this.at = position;
        this.indent = position - start;
        return;
      }
      const end = text.indexOf('\n', position);
      if (end === -1) break;
      start = end + 1;
    }
    this.at = text.length;
    this.indent = -1;
  }

  /** A mapping or list whose lines are indented by `indent`. */
  private block(indent: number, depth: number): Located {
    if (depth > MAX_DEPTH) beyond();
    return this.text.charCodeAt(this.at) === 45 && this.text.charCodeAt(this.at + 1) === 32
      ? this.list(indent, depth)
      : this.map(indent, depth);
  }

  private map(indent: number, depth: number): Located {
    const start = this.at;
    const entries: Entry[] = [];
    const keys = new Set<string>();
    let end = start;
    while (this.indent === indent) {
      KEY.lastIndex = this.at;
      const match = KEY.exec(this.text);
      if (!match) beyond();
      const key = match[1]!;
      if (keys.has(key)) beyond();
      keys.add(key);
      const keyRange: Range = [this.at + this.offset, this.at + key.length + this.offset];
      const value = this.value(this.at + key.length + 1, indent, depth, true) ?? {
        kind: 'scalar',
        range: keyRange,
        value: null,
      };
      entries.push({ key, keyRange, value });
      end = Math.max(keyRange[1], value.range[1]);
    }
    if (this.indent > indent || entries.length === 0) beyond();
    return { kind: 'map', range: [start + this.offset, end], entries };
  }

  private list(indent: number, depth: number): Located {
    const start = this.at;
    const items: Located[] = [];
    let end = start;
    while (this.indent === indent && this.text.charCodeAt(this.at) === 45) {
      const { text, at } = this;
      if (text.charCodeAt(at + 1) !== 32) beyond();
      let position = at + 1;
      while (text.charCodeAt(position) === 32) position++;
      KEY.lastIndex = position;
      let item: Located | undefined;
      if (KEY.test(text)) {
        // A mapping that begins on the line of its dash.
        this.at = position;
        this.indent = indent + (position - at);
        item = this.map(this.indent, depth + 1);
      } else item = this.value(at + 1, indent, depth, false);
      if (item === undefined) beyond();
      items.push(item);
      end = item.range[1];
    }
    if (this.indent > indent) beyond();
    return { kind: 'list', range: [start + this.offset, end], items };
  }

  /** What follows a key's colon or a dash; undefined for nothing. Moves on to the next line with content. */
  private value(from: number, indent: number, depth: number, isEntry: boolean): Located | undefined {
    const { text } = this;
    let position = from;
    while (text.charCodeAt(position) === 32) position++;
    const lineEnd = this.lineEnd(position);
    if (position >= lineEnd || text.charCodeAt(position) === 35) {
      if (text.charCodeAt(position) === 35 && position === from) beyond();
      this.toContent(lineEnd + 1);
      if (this.indent > indent) return this.block(this.indent, depth + 1);
      // A list may stand at the level of its key.
      if (isEntry && this.indent === indent && text.startsWith('- ', this.at)) return this.list(indent, depth + 1);
      return undefined;
    }
    const first = text[position]!;
    if (first === '|') return this.literal(position, lineEnd, indent);
    const scanner = new LineScanner(text, position, lineEnd, this.offset);
    const value = scanner.value(depth);
    scanner.finish();
    this.toContent(lineEnd + 1);
    // A deeper line would go on with this scalar.
    if (this.indent > indent) beyond();
    return value;
  }

  private literal(position: number, lineEnd: number, indent: number): Located {
    const { text } = this;
    const head = text.slice(position, lineEnd).trimEnd();
    if (head !== '|' && head !== '|-') beyond();
    const lines: string[] = [];
    let start = lineEnd + 1;
    let contentEnd = position + head.length;
    let blockIndent = -1;
    while (start < text.length) {
      const end = this.lineEnd(start);
      let content = start;
      while (content < end && text.charCodeAt(content) === 32) content++;
      if (content === end) {
        // Blank lines before the first or with blanks of their own have rules that are not worth repeating.
        if (blockIndent === -1 || end > start) beyond();
        lines.push('');
      } else {
        if (blockIndent === -1) blockIndent = content - start;
        if (content - start < blockIndent) {
          if (content - start > indent) beyond();
          break;
        }
        if (blockIndent <= indent) break;
        lines.push(text.slice(start + blockIndent, end));
        contentEnd = start + text.slice(start, end).trimEnd().length;
        if (text.slice(start, end).trimEnd().length !== end - start) beyond();
      }
      start = end + 1;
    }
    if (lines.length === 0 || blockIndent <= indent) beyond();
    while (lines[lines.length - 1] === '') lines.pop();
    const value = lines.join('\n') + (head === '|' ? '\n' : '');
    this.toContent(start);
    if (this.indent > indent) beyond();
    return { kind: 'scalar', range: [position + this.offset, contentEnd + this.offset], value };
  }

  private lineEnd(from: number): number {
    const end = this.text.indexOf('\n', from);
    return end === -1 ? this.text.length : end;
  }
}

/** Reads one value that ends on its line. */
class LineScanner {
  private readonly text: string;
  private readonly end: number;
  private readonly offset: number;
  private at: number;

  constructor(text: string, at: number, end: number, offset: number) {
    this.text = text;
    this.at = at;
    this.end = end;
    this.offset = offset;
  }

  value(depth: number): Located {
    const first = this.text[this.at]!;
    if (first === '{' || first === '[') return this.flow(depth + 1);
    if (first === '"' || first === "'") return this.quoted();
    return this.plain(false);
  }

  /** Nothing but a comment may follow. */
  finish(): void {
    const before = this.at;
    this.blanks();
    if (this.at >= this.end) return;
    if (this.text[this.at] !== '#' || this.at === before) beyond();
  }

  private blanks(): void {
    while (this.at < this.end && this.text.charCodeAt(this.at) === 32) this.at++;
  }

  private flow(depth: number): Located {
    if (depth > MAX_DEPTH) beyond();
    const start = this.at;
    const isMap = this.text[start] === '{';
    const close = isMap ? '}' : ']';
    this.at++;
    const entries: Entry[] = [];
    const items: Located[] = [];
    const keys = new Set<string>();
    this.blanks();
    while (this.text[this.at] !== close) {
      if (this.at >= this.end) beyond();
      if (isMap) entries.push(this.flowEntry(keys, depth));
      else items.push(this.flowValue(depth));
      this.blanks();
      if (this.text[this.at] === ',') {
        this.at++;
        this.blanks();
        if (this.text[this.at] === close) beyond();
      } else if (this.text[this.at] !== close) beyond();
    }
    this.at++;
    const range: Range = [start + this.offset, this.at + this.offset];
    return isMap ? { kind: 'map', range, entries } : { kind: 'list', range, items };
  }

  private flowEntry(keys: Set<string>, depth: number): Entry {
    KEY.lastIndex = this.at;
    const match = KEY.exec(this.text);
    if (!match || this.at + match[0].length >= this.end) beyond();
    const key = match[1]!;
    if (keys.has(key)) beyond();
    keys.add(key);
    const keyRange: Range = [this.at + this.offset, this.at + key.length + this.offset];
    this.at += match[0].length;
    this.blanks();
    return { key, keyRange, value: this.flowValue(depth) };
  }

  private flowValue(depth: number): Located {
    const first = this.text[this.at];
    if (first === '{' || first === '[') return this.flow(depth + 1);
    if (first === '"' || first === "'") return this.quoted();
    return this.plain(true);
  }

  private quoted(): Located {
    const start = this.at;
    const quote = this.text[start]!;
    const close = this.text.indexOf(quote, start + 1);
    if (close === -1 || close >= this.end) beyond();
    const value = this.text.slice(start + 1, close);
    if (quote === '"' ? value.includes('\\') : this.text[close + 1] === "'") beyond();
    this.at = close + 1;
    const next = this.text[this.at];
    if (this.at < this.end && next !== ' ' && next !== ',' && next !== '}' && next !== ']') beyond();
    // `"a" : b` would make it a key.
    if (/^ *:/.test(this.text.slice(this.at, this.end))) beyond();
    return {
      kind: 'scalar',
      range: [start + this.offset, this.at + this.offset],
      value,
      ...verbatim(this.text, value, start, this.offset),
    };
  }

  private plain(inFlow: boolean): Located {
    const { text, end } = this;
    const start = this.at;
    if (start >= end || !PLAIN_START.test(text[start]!)) beyond();
    if (text[start] === '-' && !/[A-Za-z0-9]/.test(text[start + 1] ?? '')) beyond();
    let position = start;
    for (; position < end; position++) {
      const code = text.charCodeAt(position);
      if (code === 58) {
        const next = text.charCodeAt(position + 1);
        // `: ` would make it a key; before a flow character it may.
        if (position + 1 >= end || next === 32 || inFlow) beyond();
      } else if (code === 35 && text.charCodeAt(position - 1) === 32) break;
      else if (inFlow && (code === 44 || code === 93 || code === 125 || code === 91 || code === 123)) break;
    }
    const source = text.slice(start, position).trimEnd();
    this.at = start + source.length;
    const range: Range = [start + this.offset, this.at + this.offset];
    const value = resolve(source);
    if (typeof value !== 'string') return { kind: 'scalar', range, value };
    return { kind: 'scalar', range, value, verbatimAt: start + this.offset };
  }
}

/** Where the value's text stands as it is, by the full reader's rule. */
function verbatim(text: string, value: string, start: number, offset: number): { verbatimAt?: number } {
  return text.startsWith(value, start) ? { verbatimAt: start + offset } : { verbatimAt: start + 1 + offset };
}

/** YAML 1.2's core schema, as far as it is unmistakable. */
function resolve(source: string): string | number | boolean | null {
  switch (source) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
    case '~':
      return null;
    default:
  }
  if (/^(?:true|false|null)$/i.test(source)) beyond();
  if (!NUMBER_LIKE.test(source)) return /^[-+]?\.(?:inf|nan)$/i.test(source) ? beyond() : source;
  if (/^-?(?:0|[1-9]\d{0,14})$/.test(source)) return source === '-0' ? beyond() : Number(source);
  if (/^-?\d{1,10}\.\d{1,10}$/.test(source)) return Number(source);
  // Hexadecimal, octal, exponents, signs and the like.
  return /^[-+.0-9xXoOa-fA-F_]+$/.test(source) || /^[-+]?[\d.]+[eE]/.test(source) ? beyond() : source;
}
