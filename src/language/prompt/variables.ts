import { isObject, type JsonObject } from '../../base/json.ts';
import { didYouMean } from '../../base/nearest.ts';
import type { Problems, Range } from '../diagnostics.ts';
import { type Entry, entryAt, valueAt } from '../located.ts';

const HELPERS = new Set([
  'if',
  'unless',
  'each',
  'with',
  'lookup',
  'log',
  'json',
  'role',
  'history',
  'media',
  'section',
  'ifEquals',
  'unlessEquals',
]);

interface Context {
  readonly body: string;
  readonly bodyStart: number;
  /** Absent when the prompt declares no schema: then any variable may be used. */
  readonly schema: JsonObject | undefined;
  readonly schemaPlace: Entry | undefined;
}

/** What a name means at one place of the template: the schema of `this`, block parameters, the scope around. */
interface Scope {
  readonly schema: JsonObject | undefined;
  readonly locals: ReadonlyMap<string, JsonObject | undefined>;
  readonly parent?: Scope;
}

/** Variables that the schema lacks, helpers that do not exist, properties that are never used. */
export function checkVariables(program: hbs.AST.Program, context: Context, problems: Problems): void {
  const walk = new Walk(context, problems);
  walk.program(program, { schema: context.schema, locals: new Map() });
  walk.unused();
}

class Walk {
  private readonly context: Context;
  private readonly problems: Problems;
  private readonly used = new Set<string>();
  private usesWhole = false;
  private readonly lineStarts: number[] = [0];

  constructor(context: Context, problems: Problems) {
    this.context = context;
    this.problems = problems;
    const { body } = context;
    for (let at = body.indexOf('\n'); at !== -1; at = body.indexOf('\n', at + 1)) this.lineStarts.push(at + 1);
  }

  program(program: hbs.AST.Program | undefined, scope: Scope): void {
    for (const statement of program?.body ?? []) this.statement(statement, scope);
  }

  unused(): void {
    const { schema, schemaPlace } = this.context;
    if (!schema || !schemaPlace || this.usesWhole || !isObject(schema['properties'])) return;
    for (const name of Object.keys(schema['properties'])) {
      if (this.used.has(name)) continue;
      const properties = valueAt(schemaPlace.value, 'properties') ?? schemaPlace.value;
      const entry =
        entryAt(properties, name) ??
        (properties.kind === 'map'
          ? properties.entries.find((item) => item.key.replace(/[?(].*$/s, '') === name)
          : undefined);
      this.problems.warning(
        'unused-variable',
        entry?.keyRange ?? schemaPlace.keyRange,
        `the template never uses "${name}"`,
      );
    }
  }

  private statement(statement: hbs.AST.Statement, scope: Scope): void {
    switch (statement.type) {
      case 'MustacheStatement':
        return this.call(statement as hbs.AST.MustacheStatement, scope, false);
      case 'BlockStatement':
        return this.block(statement as hbs.AST.BlockStatement, scope);
      case 'PartialStatement':
      case 'PartialBlockStatement': {
        const partial = statement as hbs.AST.PartialStatement;
        this.arguments(partial.params, partial.hash, scope);
        // A partial without arguments sees everything.
        if (partial.params.length === 0) this.usesWhole = true;
        return;
      }
      default:
    }
  }

  private block(block: hbs.AST.BlockStatement, scope: Scope): void {
    this.call(block, scope, true);
    const helper = pathOf(block.path)?.original;
    const subject = block.params[0];
    const inner = subject === undefined ? undefined : this.schemaOf(subject, scope);
    const names = block.program?.blockParams ?? [];
    if (helper === 'each') {
      const item = itemSchema(inner);
      const locals = new Map<string, JsonObject | undefined>(
        names.map((name, index) => [name, index === 0 ? item : undefined]),
      );
      this.program(block.program, { schema: item, locals, parent: scope });
    } else if (helper === 'with') {
      const locals = new Map<string, JsonObject | undefined>(names.map((name) => [name, inner]));
      this.program(block.program, { schema: inner, locals, parent: scope });
    } else if (helper !== undefined && HELPERS.has(helper)) {
      this.program(block.program, scope);
    } else {
      // A block on a variable: `{{#name}} … {{/name}}` is a list, an object or a condition.
      const target = this.schemaOf(block.path, scope);
      this.program(block.program, { schema: itemSchema(target) ?? target, locals: new Map(), parent: scope });
    }
    this.program(block.inverse, scope);
  }

  private call(statement: hbs.AST.MustacheStatement | hbs.AST.BlockStatement, scope: Scope, isBlock: boolean): void {
    const path = pathOf(statement.path);
    const hasArguments = statement.params.length > 0 || (statement.hash?.pairs.length ?? 0) > 0;
    if (
      path &&
      path.depth === 0 &&
      !path.data &&
      HELPERS.has(path.original) &&
      (hasArguments || isBlock || path.original === 'history')
    ) {
      // A helper, not a variable.
    } else if (path && hasArguments) {
      const known = [...HELPERS];
      this.problems.error(
        'unknown-helper',
        this.range(path),
        `no helper is called "${path.original}"${didYouMean(path.original, known) || `; there are ${known.join(', ')}`}`,
      );
    } else this.expression(statement.path, scope);
    this.arguments(statement.params, statement.hash, scope);
  }

  private arguments(params: readonly hbs.AST.Expression[], hash: hbs.AST.Hash | undefined, scope: Scope): void {
    for (const param of params) this.expression(param, scope);
    for (const pair of hash?.pairs ?? []) this.expression(pair.value, scope);
  }

  private expression(expression: hbs.AST.Expression, scope: Scope): void {
    if (expression.type === 'SubExpression') {
      const call = expression as hbs.AST.SubExpression;
      return this.call(call as unknown as hbs.AST.MustacheStatement, scope, true);
    }
    const path = pathOf(expression);
    if (path) this.schemaOf(path, scope, true);
  }

  /** The schema of what a path names; undefined when anything is possible. Reports unknown names when asked to. */
  private schemaOf(
    expression: hbs.AST.Expression | hbs.AST.Literal,
    start: Scope,
    report = false,
  ): JsonObject | undefined {
    const path = pathOf(expression);
    if (!path || path.data) return undefined;
    let scope = start;
    for (let i = 0; i < path.depth && scope.parent; i++) scope = scope.parent;
    const parts = path.parts.map(String);
    const [first] = parts;
    if (first === undefined) {
      if (scope.schema === this.context.schema) this.usesWhole = true;
      return scope.schema;
    }
    let schema: JsonObject | undefined;
    let rest = parts;
    const local = localOf(scope, first);
    if (local && !path.original.startsWith('this') && path.depth === 0) {
      schema = local.schema;
      rest = parts.slice(1);
    } else {
      schema = scope.schema;
    }
    for (const name of rest) {
      if (schema === undefined) return undefined;
      if (schema === this.context.schema) this.used.add(name);
      const properties: Record<string, JsonObject> | undefined = isObject(schema['properties'])
        ? (schema['properties'] as Record<string, JsonObject>)
        : undefined;
      if (schema['type'] === 'array' && name === 'length') return undefined;
      if (!properties) return undefined;
      const property: JsonObject | undefined = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (property === undefined) {
        const open = schema['additionalProperties'];
        if (report && (open === undefined || open === false)) {
          const names = Object.keys(properties);
          this.problems.error(
            'unknown-variable',
            this.range(path),
            `the schema has no "${name}"${didYouMean(name, names) || `; it has ${names.join(', ')}`}`,
          );
        }
        return undefined;
      }
      schema = property;
    }
    return schema;
  }

  private range(node: hbs.AST.Node): Range {
    const at = ({ line, column }: { line: number; column: number }) =>
      this.context.bodyStart + (this.lineStarts[line - 1] ?? 0) + column;
    return [at(node.loc.start), at(node.loc.end)];
  }
}

function localOf(scope: Scope, name: string): { schema: JsonObject | undefined } | undefined {
  for (let at: Scope | undefined = scope; at; at = at.parent) {
    if (at.locals.has(name)) return { schema: at.locals.get(name) };
  }
  return undefined;
}

function itemSchema(schema: JsonObject | undefined): JsonObject | undefined {
  if (schema === undefined) return undefined;
  if (isObject(schema['items'])) return schema['items'] as JsonObject;
  if (isObject(schema['additionalProperties'])) return schema['additionalProperties'] as JsonObject;
  return undefined;
}

function pathOf(expression: unknown): hbs.AST.PathExpression | undefined {
  return (expression as hbs.AST.Node | undefined)?.type === 'PathExpression'
    ? (expression as hbs.AST.PathExpression)
    : undefined;
}
