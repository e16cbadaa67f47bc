import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { messageOf } from '../../base/result.ts';
import type { Range } from '../diagnostics.ts';

/** What one name in scope is, for checking. `fields` absent means that anything may be asked of it. */
export type Shape =
  | { readonly type: 'string' | 'int' | 'double' | 'bool' | 'list' | 'map' | 'dyn' }
  | { readonly type: 'object'; readonly fields: ReadonlyMap<string, Shape> };

export const dyn: Shape = { type: 'dyn' };

export interface CelProblem {
  readonly kind: 'syntax' | 'type' | 'unknown-name' | 'unknown-field';
  readonly message: string;
  /** Offsets into the expression. */
  readonly range: Range;
  /** For an unknown field: the names before it, and itself last. */
  readonly path?: readonly string[];
  readonly known?: readonly string[];
}

/** A chain of names such as `steps.build.outputs.url`. */
export interface Reference {
  readonly path: readonly string[];
  /** The range of each name of the path. */
  readonly ranges: readonly Range[];
}

export interface ParsedExpression {
  readonly references: readonly Reference[];
  readonly problems: readonly CelProblem[];
  /** Names of the functions called without a receiver. */
  readonly calls: readonly string[];
  /** Whether it is one reference and nothing else: then there are no types that could not fit. */
  readonly isReference: boolean;
}

const STATUS_FUNCTIONS = ['always', 'failure', 'success'] as const;

/** One environment for all: variables are dynamic, since names and fields are checked by our own walk, with ranges. */
function base(): Environment {
  if (shared) return shared;
  shared = new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 5000, maxDepth: 100 },
  });
  for (const name of STATUS_FUNCTIONS) {
    shared.registerFunction(`${name}(): bool`, () => {
      throw new Error(`${name}() can be used in "when" alone`);
    });
  }
  return shared;
}
/** Made when the first expression is met: many workflows have none, and making it takes milliseconds. */
let shared: Environment | undefined;

const parsedCache = new Map<string, ParsedExpression>();

/** Parses one expression; never throws. Results are kept for texts seen before (the cache is bounded). */
export function parseExpression(source: string): ParsedExpression {
  const known = parsedCache.get(source);
  if (known) return known;
  const parsed = parse(source);
  if (parsedCache.size > 20_000) parsedCache.clear();
  parsedCache.set(source, parsed);
  return parsed;
}

function parse(source: string): ParsedExpression {
  if (source.trim() === '') {
    return {
      references: [],
      calls: [],
      isReference: false,
      problems: [{ kind: 'syntax', message: 'the expression is empty', range: [0, source.length] }],
    };
  }
  try {
    const program = base().parse(source);
    const walk = new Walk();
    walk.visit(program.ast, new Set());
    const checked = program.check();
    const problems = checked.valid ? [] : [problemOf('type', checked.error, source)];
    return { references: walk.references, calls: walk.calls, problems, isReference: chain(program.ast) !== undefined };
  } catch (error) {
    return { references: [], calls: [], isReference: false, problems: [problemOf('syntax', error, source)] };
  }
}

/**
 * Checks the types of an expression against what is in scope. Unknown fields are found by `references` with better
 * messages, so only type errors come back from here.
 */
export function checkTypes(source: string, scope: ReadonlyMap<string, Shape>): CelProblem | undefined {
  if (![...scope.values()].some(hasTypes)) return undefined;
  try {
    const environment = base().clone();
    for (const [name, shape] of scope) {
      if (shape.type === 'object') environment.registerVariable({ name, schema: schemaOf(shape) as never });
      else environment.registerVariable(name, shape.type);
    }
    const checked = environment.check(source);
    if (checked.valid || /No such key|Unknown variable/.test(checked.error?.message ?? '')) return undefined;
    return problemOf('type', checked.error, source);
  } catch (error) {
    return problemOf('type', error, source);
  }
}

function hasTypes(shape: Shape): boolean {
  return shape.type === 'object' ? [...shape.fields.values()].some(hasTypes) : shape.type !== 'dyn';
}

function schemaOf(shape: Shape): unknown {
  if (shape.type !== 'object') return shape.type;
  return Object.fromEntries([...shape.fields].map(([name, field]) => [name, schemaOf(field)]));
}

function problemOf(kind: 'syntax' | 'type', error: unknown, source: string): CelProblem {
  const range = (error as { range?: { start: number; end: number } }).range;
  const start = Math.min(range?.start ?? 0, source.length);
  const end = Math.min(Math.max(range?.end ?? source.length, start), source.length);
  return { kind, message: messageOf(error).split('\n')[0]!, range: [start, end] };
}

const MACROS = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

/** Collects the references of an expression; variables bound by macros are not references. */
class Walk {
  readonly references: Reference[] = [];
  readonly calls: string[] = [];

  visit(node: ASTNode, bound: ReadonlySet<string>): void {
    const reference = chain(node);
    if (reference) {
      if (!bound.has(reference.path[0]!)) this.references.push(reference);
      return;
    }
    if (node.op === 'rcall') {
      const [name, receiver, args] = node.args;
      this.visit(receiver, bound);
      const variable = MACROS.has(name) && args[0]?.op === 'id' ? args[0].args : undefined;
      const inner = variable === undefined ? bound : new Set([...bound, variable]);
      for (const [index, argument] of args.entries())
        if (variable === undefined || index > 0) this.visit(argument, inner);
      return;
    }
    if (node.op === 'call') this.calls.push(node.args[0]);
    this.visitArgs(node.args, bound);
  }

  private visitArgs(args: unknown, bound: ReadonlySet<string>): void {
    if (Array.isArray(args)) for (const item of args) this.visitArgs(item, bound);
    else if (args !== null && typeof args === 'object' && 'op' in args) this.visit(args as ASTNode, bound);
  }
}

function chain(node: ASTNode): Reference | undefined {
  if (node.op === 'id') return { path: [node.args], ranges: [[node.start, node.end]] };
  if (node.op === '.' || node.op === '.?') {
    const [receiver, name] = node.args;
    const before = chain(receiver);
    return before && { path: [...before.path, name], ranges: [...before.ranges, [node.end - name.length, node.end]] };
  }
  if (node.op === '[]') {
    const [receiver, index] = node.args;
    const before = chain(receiver);
    if (before && index.op === 'value' && typeof index.args === 'string') {
      return { path: [...before.path, index.args], ranges: [...before.ranges, [index.start, index.end]] };
    }
  }
  return undefined;
}

export interface StatusFunctions {
  readonly success: () => boolean;
  readonly failure: () => boolean;
}

/**
 * Evaluates an expression. Whole JavaScript numbers arrive as CEL ints and come back as numbers.
 *
 * @throws Error with CEL's own sentence when a name is missing or types do not fit at run time
 */
export function evaluateExpression(source: string, scope: Record<string, unknown>, status?: StatusFunctions): unknown {
  let environment = base();
  if (status) {
    environment = new Environment({
      unlistedVariablesAreDyn: true,
      homogeneousAggregateLiterals: false,
      enableOptionalTypes: true,
    });
    environment.registerFunction('always(): bool', () => true);
    environment.registerFunction('failure(): bool', () => status.failure());
    environment.registerFunction('success(): bool', () => status.success());
  }
  try {
    return fromCel(environment.evaluate(source.trim(), toCel(scope) as Record<string, unknown>));
  } catch (error) {
    throw new Error(`${messageOf(error).split('\n')[0]} in "${source.trim()}"`, { cause: error });
  }
}

function toCel(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(toCel);
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const copy: Record<string, unknown> = {};
    for (const key in value) {
      // Getters stay getters: the content of an artifact is read only when an expression asks for it.
      const property = Object.getOwnPropertyDescriptor(value, key)!;
      if (property.get)
        Object.defineProperty(copy, key, { enumerable: true, get: () => toCel(property.get!.call(value)) });
      else copy[key] = toCel(property.value);
    }
    return copy;
  }
  return value;
}

function fromCel(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, item]) => [String(fromCel(key)), fromCel(item)]));
  if (value instanceof Date) return value.toISOString();
  if (value !== null && typeof value === 'object') {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromCel(item)]));
    }
    if ('valueAt' in value && typeof value.valueOf() === 'bigint') return Number(value.valueOf());
    return String(value);
  }
  return value;
}
