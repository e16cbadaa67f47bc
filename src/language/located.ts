import { isAlias, isMap, isPair, isScalar, isSeq, type Node, parseDocument } from 'yaml';
import type { Json } from '../base/json.ts';
import type { Problems, Range } from './diagnostics.ts';
import { readPlainYaml } from './plain-yaml.ts';

/** A YAML value with its place in the text: what all checking of workflows, front matter and agents stands on. */
export type Located =
  | { readonly kind: 'map'; readonly range: Range; readonly entries: readonly Entry[] }
  | { readonly kind: 'list'; readonly range: Range; readonly items: readonly Located[] }
  | {
      readonly kind: 'scalar';
      readonly range: Range;
      readonly value: string | number | boolean | null;
      /** Offset of the text's first character when it stands in the source as it is, so that places inside map back. */
      readonly verbatimAt?: number;
    };

export interface Entry {
  readonly key: string;
  readonly keyRange: Range;
  readonly value: Located;
}

const LIMITS = { text: 8_000_000, depth: 100, aliasNodes: 100_000 };

/**
 * Reads YAML into located values. Never throws and never stops at a first error; what cannot be read is left out and
 * reported. Returns undefined when nothing at all could be read.
 *
 * @param offset where `text` begins in the file, for front matter
 */
export function readYaml(text: string, problems: Problems, offset = 0): Located | undefined {
  if (text.length > LIMITS.text) {
    problems.error(
      'too-large',
      [offset, offset + 1],
      `the file has ${text.length} characters; the limit is ${LIMITS.text}`,
    );
    return undefined;
  }
  if (deepestFlow(text) > LIMITS.depth) {
    problems.error('too-large', [offset, offset + 1], `values are nested more than ${LIMITS.depth} levels deep`);
    return undefined;
  }
  const quick = readPlainYaml(text, offset);
  if (quick !== undefined) return quick;
  return readAnyYaml(text, problems, offset);
}

/** Reads with the full parser whatever the text. */
export function readAnyYaml(text: string, problems: Problems, offset = 0): Located | undefined {
  let contents: Node | null;
  try {
    const document = parseDocument(text, {
      prettyErrors: false,
      uniqueKeys: false,
      keepSourceTokens: false,
      merge: true,
      logLevel: 'silent',
    });
    for (const error of document.errors) {
      const [start, end] = error.pos;
      const range: Range = [offset + start, offset + Math.max(end, Math.min(start + 1, text.length))];
      problems.error('yaml-syntax', range, `this is not YAML: ${firstSentence(error.message)}`);
    }
    contents = document.contents;
  } catch (error) {
    // The parser recurses; a text that exhausts the stack is refused like any other that is beyond the limits.
    const reason = error instanceof RangeError ? 'values are nested too deeply' : String(error);
    problems.error('too-large', [offset, offset + 1], `the file cannot be read: ${reason}`);
    return undefined;
  }
  if (contents === null) return undefined;
  return new Reader(text, problems, offset).read(contents, 0);
}

function firstSentence(message: string): string {
  const line = message.split('\n')[0]!;
  return line.charAt(0).toLowerCase() + line.slice(1);
}

/** The deepest run of open flow brackets: a cheap bound that keeps the parser's recursion away from absurd texts. */
function deepestFlow(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if ((code === 0x5d || code === 0x7d) && depth > 0) depth--;
  }
  return deepest;
}

class Reader {
  private readonly text: string;
  private readonly problems: Problems;
  private readonly offset: number;
  private readonly anchors = new Map<string, Located>();
  private aliasNodes = 0;
  private refused = false;

  constructor(text: string, problems: Problems, offset: number) {
    this.text = text;
    this.problems = problems;
    this.offset = offset;
  }

  read(node: unknown, depth: number): Located | undefined {
    if (depth > LIMITS.depth) {
      this.refuse(this.rangeOf(node), `values are nested more than ${LIMITS.depth} levels deep`);
      return undefined;
    }
    const value = this.readNode(node, depth);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined && value !== undefined) this.anchors.set(anchor, value);
    return value;
  }

  private readNode(node: unknown, depth: number): Located | undefined {
    const range = this.rangeOf(node);
    if (isMap(node)) {
      const entries = this.readEntries(node.items, depth);
      const ends = entries.map(({ keyRange, value }) => Math.max(keyRange[1], value.range[1]));
      return { kind: 'map', range: node.flow ? range : closed(range, ends), entries };
    }
    if (isSeq(node)) {
      const items = node.items
        .map((item) => this.read(isPair(item) ? undefined : item, depth + 1))
        .filter((item) => item !== undefined);
      const ends = items.map((item) => item.range[1]);
      return { kind: 'list', range: node.flow ? range : closed(range, ends), items };
    }
    if (isAlias(node)) return this.readAlias(node.source, range);
    if (isScalar(node)) {
      const { value } = node;
      if (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')
        return { kind: 'scalar', range: this.trimmed(range), value: String(value) };
      if (typeof value === 'string') return { kind: 'scalar', range, value, ...this.verbatim(value, range) };
      if (typeof value === 'number' || typeof value === 'boolean' || value === null)
        return { kind: 'scalar', range, value };
      if (typeof value === 'bigint') return { kind: 'scalar', range, value: Number(value) };
      return { kind: 'scalar', range, value: node.source ?? String(value) };
    }
    return node === null || node === undefined ? { kind: 'scalar', range, value: null } : undefined;
  }

  private readEntries(pairs: readonly { key: unknown; value: unknown }[], depth: number): Entry[] {
    const entries: Entry[] = [];
    const own = new Map<string, Entry>();
    const merged: Entry[] = [];
    for (const pair of pairs) {
      if (!isScalar(pair.key)) {
        this.problems.error(
          'yaml-key',
          this.rangeOf(pair.key),
          'a key is plain text here; quote it or write it on one line',
        );
        continue;
      }
      const key = String(pair.key.source ?? pair.key.value ?? '');
      const keyRange = this.rangeOf(pair.key);
      if (key === '<<') {
        merged.push(...this.merge(this.read(pair.value, depth + 1), keyRange));
        continue;
      }
      const value = this.read(pair.value, depth + 1) ?? { kind: 'scalar', range: keyRange, value: null };
      const empty = pair.value === null || (isScalar(pair.value) && pair.value.value === null && !pair.value.source);
      const entry: Entry = { key, keyRange, value: empty ? { kind: 'scalar', range: keyRange, value: null } : value };
      const first = own.get(key);
      if (first) {
        this.problems.error('yaml-duplicate-key', keyRange, `"${key}" stands here a second time; remove one of them`, [
          { message: 'first here', range: first.keyRange },
        ]);
        continue;
      }
      own.set(key, entry);
      entries.push(entry);
    }
    for (const entry of merged) {
      if (own.has(entry.key)) continue;
      own.set(entry.key, entry);
      entries.push(entry);
    }
    return entries;
  }

  private merge(source: Located | undefined, range: Range): readonly Entry[] {
    if (source?.kind === 'map') return source.entries;
    if (source?.kind === 'list' && source.items.every((item) => item.kind === 'map')) {
      return source.items.flatMap((item) => (item.kind === 'map' ? item.entries : []));
    }
    this.problems.error('yaml-alias', range, 'a merge points to a mapping or a list of mappings: `<<: *anchor`');
    return [];
  }

  private readAlias(name: string, range: Range): Located | undefined {
    const target = this.anchors.get(name);
    if (target === undefined) {
      this.problems.error('yaml-alias', range, `no anchor "&${name}" stands before this alias`);
      return undefined;
    }
    this.aliasNodes += countNodes(target, LIMITS.aliasNodes + 1);
    if (this.aliasNodes > LIMITS.aliasNodes) {
      this.refuse(range, `aliases multiply to more than ${LIMITS.aliasNodes} values`);
      return undefined;
    }
    return target;
  }

  private refuse(range: Range, message: string): void {
    if (!this.refused) this.problems.error('too-large', range, message);
    this.refused = true;
  }

  private rangeOf(node: unknown): Range {
    const range = (node as { range?: [number, number, number] | null } | null)?.range;
    if (!range) return [this.offset, this.offset];
    return [this.offset + range[0], this.offset + range[1]];
  }

  private trimmed([start, end]: Range): Range {
    return [start, start + this.text.slice(start - this.offset, end - this.offset).trimEnd().length];
  }

  private verbatim(value: string, [start]: Range): { verbatimAt?: number } {
    const at = start - this.offset;
    if (this.text.startsWith(value, at)) return { verbatimAt: start };
    const quote = this.text[at];
    if ((quote === '"' || quote === "'") && this.text.startsWith(value, at + 1)) return { verbatimAt: start + 1 };
    return {};
  }
}

/** A block collection ends with its last value, not with the blank lines and comments after it. */
function closed([start, end]: Range, ends: readonly number[]): Range {
  return [start, ends.reduce((last, next) => (next <= end && next > last ? next : last), start)];
}

function countNodes(value: Located, limit: number): number {
  let count = 0;
  const stack: Located[] = [value];
  while (stack.length > 0 && count < limit) {
    const next = stack.pop()!;
    count++;
    if (next.kind === 'map') for (const entry of next.entries) stack.push(entry.value);
    else if (next.kind === 'list') for (const item of next.items) stack.push(item);
  }
  return count;
}

/** The plain value. */
export function toJson(value: Located): Json {
  if (value.kind === 'scalar') return value.value;
  if (value.kind === 'list') return value.items.map(toJson);
  const object: { [key: string]: Json } = {};
  for (const entry of value.entries) {
    // A key of this name would set the prototype instead.
    if (entry.key === '__proto__')
      Object.defineProperty(object, entry.key, { value: toJson(entry.value), enumerable: true });
    else object[entry.key] = toJson(entry.value);
  }
  return object;
}

export function entryAt(value: Located | undefined, key: string): Entry | undefined {
  return value?.kind === 'map' ? value.entries.find((entry) => entry.key === key) : undefined;
}

export function valueAt(value: Located | undefined, key: string): Located | undefined {
  return entryAt(value, key)?.value;
}

export function textOf(value: Located | undefined): string | undefined {
  return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
}

/** Where a part of a scalar's text stands in the file; the whole value when quoting or folding changed it. */
export function rangeWithin(value: Located, start: number, end: number): Range {
  if (value.kind !== 'scalar' || value.verbatimAt === undefined) return value.range;
  return [value.verbatimAt + start, value.verbatimAt + end];
}

/** What a value is, for messages. */
export function describe(value: Located): string {
  if (value.kind === 'map') return 'a mapping';
  if (value.kind === 'list') return 'a list';
  if (value.value === null) return 'nothing';
  return { string: 'text', number: 'a number', boolean: 'true or false' }[typeof value.value as 'string']!;
}
