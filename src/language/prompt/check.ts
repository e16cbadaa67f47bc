import Handlebars from 'handlebars';
import type { JsonObject } from '../../base/json.ts';
import { messageOf } from '../../base/result.ts';
import { type Diagnostic, Problems } from '../diagnostics.ts';
import { readFrontMatter } from '../front-matter.ts';
import { entryAt, type Located, toJson, valueAt } from '../located.ts';
import { toJsonSchema } from '../schema/picoschema.ts';
import { checkKeys } from '../shape.ts';
import { PROMPT_KEYS, VSCODE_PROMPT_KEYS } from './keys.ts';
import { checkVariables } from './variables.ts';

export interface PromptCheck {
  readonly diagnostics: readonly Diagnostic[];
  readonly front: JsonObject;
  readonly body: string;
  /** JSON Schema of what goes in; empty when the prompt declares none. */
  readonly input: JsonObject;
  readonly output?: JsonObject;
  readonly defaults: JsonObject;
}

/** Checks the text of a `.prompt`. Never throws. */
export function checkPrompt(text: string, file = 'x.prompt'): PromptCheck {
  const problems = new Problems();
  const { front, body, bodyStart, head } = readFrontMatter(text, problems);
  const table = file.endsWith('.prompt.md') ? VSCODE_PROMPT_KEYS : PROMPT_KEYS;
  if (front?.kind === 'map') {
    // A key with a dot belongs to an extension of the format and is none of ours to judge.
    checkKeys(
      front.entries.filter((entry) => !entry.key.includes('.')),
      table,
      problems,
      'a prompt',
    );
  } else if (front !== undefined && !(front.kind === 'scalar' && front.value === null)) {
    problems.error('prompt-front-matter', head, 'the front matter is a mapping of keys');
  }
  const inputEntry = entryAt(front, 'schema') ?? entryAt(valueAt(front, 'input'), 'schema');
  const input = readSchema(inputEntry?.value, problems);
  const outputEntry = entryAt(valueAt(front, 'output'), 'schema');
  const output = outputEntry && readSchema(outputEntry.value, problems);
  const ast = parseTemplate(body, bodyStart, problems);
  if (ast)
    checkVariables(ast, { body, bodyStart, schema: inputEntry ? input : undefined, schemaPlace: inputEntry }, problems);
  const defaults = valueAt(valueAt(front, 'input'), 'default');
  return {
    diagnostics: problems.finish(text),
    front: front?.kind === 'map' ? (toJson(front) as JsonObject) : {},
    body,
    input: withoutDefaulted(input, defaults),
    ...(output ? { output } : {}),
    defaults: defaults?.kind === 'map' ? (toJson(defaults) as JsonObject) : {},
  };
}

/** What has a default need not be given. */
function withoutDefaulted(schema: JsonObject, defaults: Located | undefined): JsonObject {
  if (defaults?.kind !== 'map' || !Array.isArray(schema['required'])) return schema;
  const named = new Set(defaults.entries.map((entry) => entry.key));
  return { ...schema, required: schema['required'].filter((name) => !named.has(String(name))) };
}

function readSchema(value: Located | undefined, problems: Problems): JsonObject {
  if (value === undefined) return {};
  const schema = toJsonSchema(toJson(value));
  if (typeof schema === 'string') {
    problems.error('bad-schema', value.range, `this is no schema: ${schema}`);
    return {};
  }
  return schema;
}

function parseTemplate(body: string, bodyStart: number, problems: Problems): hbs.AST.Program | undefined {
  try {
    return Handlebars.parse(body);
  } catch (error) {
    const message = messageOf(error);
    const line = Number(/line (\d+)/.exec(message)?.[1] ?? 1);
    const start = offsetOfLine(body, line);
    const end = body.indexOf('\n', start);
    const said = message.split('\n');
    const detail = said[said.length - 1]!.startsWith('Expecting') ? said[said.length - 1]! : said[0]!;
    problems.error(
      'template-syntax',
      [bodyStart + start, bodyStart + (end === -1 ? body.length : end)],
      `this is no Handlebars template: ${detail}`,
    );
    return undefined;
  }
}

export function offsetOfLine(text: string, line: number): number {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const next = text.indexOf('\n', at);
    if (next === -1) return at;
    at = next + 1;
  }
  return at;
}

/**
 * Renders a prompt for a person or a model, without HTML escaping. Unknown variables were refused by the check; values
 * are data and are never parsed as a template.
 *
 * @throws Error with Handlebars' own sentence when the template cannot be rendered
 */
export function renderPrompt(prompt: PromptCheck, values: Readonly<Record<string, unknown>>): string {
  const engine = Handlebars.create();
  engine.registerHelper('role', () => '');
  engine.registerHelper('history', () => '');
  engine.registerHelper('section', () => '');
  engine.registerHelper('media', (options: Handlebars.HelperOptions) => String(options.hash['url'] ?? ''));
  engine.registerHelper('json', (value: unknown, options: Handlebars.HelperOptions) =>
    JSON.stringify(value, null, options.hash['indent'] ?? 0),
  );
  engine.registerHelper(
    'ifEquals',
    function (this: unknown, a: unknown, b: unknown, options: Handlebars.HelperOptions) {
      return a === b ? options.fn(this) : options.inverse(this);
    },
  );
  engine.registerHelper(
    'unlessEquals',
    function (this: unknown, a: unknown, b: unknown, options: Handlebars.HelperOptions) {
      return a !== b ? options.fn(this) : options.inverse(this);
    },
  );
  return engine.compile(prompt.body, { noEscape: true })({ ...prompt.defaults, ...values });
}
