import { didYouMean } from '../base/nearest.ts';
import type { DiagnosticCode, Problems } from './diagnostics.ts';
import { hasExpression } from './expression/template.ts';
import type { KeyTable, TextFormat, ValueSpec } from './keys.ts';
import { describe, type Entry, type Located } from './located.ts';
import { cronProblem, globProblem, isTimeZone, parseCount, parseDuration, parseMoney, pathProblem } from './values.ts';

export const ID = /^[a-z][a-z0-9_]*$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Checks a value against the table of keys: unknown keys, types, formats. Meaning across values is checked elsewhere. */
export function checkShape(value: Located, spec: ValueSpec, problems: Problems, name: string): void {
  switch (spec.kind) {
    case 'object':
      return checkObject(value, spec, problems, name);
    case 'map':
      return checkMap(value, spec, problems, name);
    case 'list':
      if (value.kind !== 'list') return wrongType(value, problems, name, 'a list');
      for (const item of value.items) checkShape(item, spec.of, problems, name);
      return;
    case 'one-or-many':
      if (value.kind !== 'list') return checkShape(value, spec.of, problems, name);
      for (const item of value.items) checkShape(item, spec.of, problems, name);
      return;
    case 'either':
      return checkEither(value, spec, problems, name);
    case 'any':
      return;
    default:
      return checkScalar(value, spec, problems, name);
  }
}

function checkObject(value: Located, spec: ValueSpec & { kind: 'object' }, problems: Problems, name: string): void {
  if (value.kind === 'scalar' && value.value === null && !spec.required) return;
  if (value.kind !== 'map') return wrongType(value, problems, name, 'a mapping');
  checkKeys(value.entries, spec.keys, problems, name);
  for (const required of spec.required ?? []) {
    if (!value.entries.some((entry) => entry.key === required)) {
      problems.error('missing-key', startOf(value), `${name} needs "${required}": ${spec.keys[required]!.description}`);
    }
  }
}

export function checkKeys(entries: readonly Entry[], table: KeyTable, problems: Problems, name: string): void {
  for (const entry of entries) {
    const spec = Object.hasOwn(table, entry.key) ? table[entry.key] : undefined;
    if (spec) checkShape(entry.value, spec.value, problems, `"${entry.key}"`);
    else {
      const names = Object.keys(table);
      const hint = didYouMean(entry.key, names) || (names.length <= 12 ? `; known here: ${names.join(', ')}` : '');
      problems.error('unknown-key', entry.keyRange, `${name} has no key "${entry.key}"${hint}`);
    }
  }
}

function checkMap(value: Located, spec: ValueSpec & { kind: 'map' }, problems: Problems, name: string): void {
  if (value.kind === 'scalar' && value.value === null) return;
  if (value.kind !== 'map') return wrongType(value, problems, name, 'a mapping');
  for (const entry of value.entries) {
    checkMapKey(entry, spec.keys, problems);
    checkShape(entry.value, spec.of, problems, `"${entry.key}"`);
  }
}

function checkMapKey(entry: Entry, keys: (ValueSpec & { kind: 'map' })['keys'], problems: Problems): void {
  if (keys === 'id' && !ID.test(entry.key)) {
    const suggestion = entry.key
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^[^a-z]+/, '');
    const hint = ID.test(suggestion) ? `; "${suggestion}" would be one` : '';
    problems.error(
      'bad-id',
      entry.keyRange,
      `"${entry.key}" is no id: lower case letters, digits and _, a letter first${hint}`,
    );
  } else if (keys === 'env') {
    if (!ENV_NAME.test(entry.key))
      problems.error('bad-env-name', entry.keyRange, `"${entry.key}" is no name of an environment variable`);
    else if (entry.key.startsWith('STATIONMASTER_')) {
      problems.error('reserved-env-name', entry.keyRange, `"${entry.key}" is set by the runner; choose another name`);
    }
  } else if (keys === 'path') {
    const problem = pathProblem(entry.key);
    if (problem) problems.error('bad-path', entry.keyRange, `"${entry.key}" cannot be used here: ${problem}`);
  }
}

function checkEither(value: Located, spec: ValueSpec & { kind: 'either' }, problems: Problems, name: string): void {
  const fitting = spec.options.find((option) => fits(value, option));
  if (fitting) checkShape(value, fitting, problems, name);
  else wrongType(value, problems, name, spec.say);
}

/** Whether a value has the rough form of a spec, so that the errors of that one alternative are shown. */
function fits(value: Located, spec: ValueSpec): boolean {
  switch (spec.kind) {
    case 'object':
    case 'map':
      return value.kind === 'map';
    case 'list':
      return value.kind === 'list';
    case 'any':
      return true;
    case 'either':
      return spec.options.some((option) => fits(value, option));
    default:
  }
  if (value.kind !== 'scalar') return false;
  const type = typeof value.value;
  if (spec.kind === 'text') return type === 'string';
  if (spec.kind === 'boolean') return type === 'boolean';
  if (spec.kind === 'int' || spec.kind === 'number') return type === 'number';
  if (spec.kind === 'enum') return type === 'string' && spec.values.includes(value.value as string);
  return value.value !== null;
}

function checkScalar(value: Located, spec: ValueSpec, problems: Problems, name: string): void {
  if (value.kind !== 'scalar' || value.value === null) return wrongType(value, problems, name, wanted(spec));
  switch (spec.kind) {
    case 'text': {
      const accepted = typeof value.value === 'string' || (spec.expression === undefined && spec.format === undefined);
      if (!accepted) return wrongType(value, problems, name, wanted(spec));
      return checkText(value, String(value.value), spec, problems);
    }
    case 'boolean':
      if (typeof value.value !== 'boolean') wrongType(value, problems, name, 'true or false');
      return;
    case 'int':
    case 'number': {
      if (typeof value.value !== 'number' || (spec.kind === 'int' && !Number.isInteger(value.value))) {
        return wrongType(value, problems, name, wanted(spec));
      }
      if (spec.kind === 'int' && (value.value < (spec.min ?? -Infinity) || value.value > (spec.max ?? Infinity))) {
        problems.error(
          'wrong-value',
          value.range,
          `${name} is between ${spec.min ?? 'any'} and ${spec.max ?? 'any'}, not ${value.value}`,
        );
      }
      return;
    }
    case 'enum': {
      const given = String(value.value);
      if (spec.values.includes(given)) return;
      const hint = didYouMean(given, spec.values) || `; it is one of ${spec.values.join(', ')}`;
      problems.error('wrong-value', value.range, `${name} cannot be "${given}"${hint}`);
      return;
    }
    default:
  }
}

function wanted(spec: ValueSpec): string {
  if (spec.kind === 'int') return 'a whole number';
  if (spec.kind === 'number') return 'a number';
  if (spec.kind === 'enum') return `one of ${spec.values.join(', ')}`;
  if (spec.kind === 'scalar') return 'text, a number, true or false';
  if (spec.kind === 'text' && spec.format) return FORMATS[spec.format]?.say ?? 'text';
  return spec.kind === 'boolean' ? 'true or false' : 'text';
}

interface Format {
  readonly code: DiagnosticCode;
  readonly say: string;
  /** Why the text is wrong, or undefined when it is right. */
  readonly problem: (text: string) => string | undefined;
}

function unless(read: (text: string) => unknown): (text: string) => string | undefined {
  return (text) => (read(text) === undefined ? '' : undefined);
}

const FORMATS: Partial<Record<TextFormat, Format>> = {
  duration: { code: 'bad-duration', say: 'a duration such as `30s` or `5m`', problem: unless(parseDuration) },
  money: { code: 'bad-money', say: 'an amount and a currency such as `5 USD`', problem: unless(parseMoney) },
  count: { code: 'bad-count', say: 'a count such as `500k` or `2M`', problem: unless(parseCount) },
  cron: { code: 'bad-cron', say: 'a cron expression', problem: cronProblem },
  'time-zone': {
    code: 'bad-time-zone',
    say: 'an IANA time zone such as `Europe/Zurich`',
    problem: (name) => (isTimeZone(name) ? undefined : ''),
  },
  glob: { code: 'bad-glob', say: 'a glob', problem: globProblem },
  path: { code: 'bad-path', say: 'a path inside the workspace', problem: pathProblem },
  'env-name': {
    code: 'bad-env-name',
    say: 'the name of an environment variable',
    problem: (name) => (ENV_NAME.test(name) ? undefined : ''),
  },
};

function checkText(value: Located, given: string, spec: ValueSpec & { kind: 'text' }, problems: Problems): void {
  if (spec.expression === undefined && hasExpression(given)) {
    problems.error(
      'no-expression-here',
      value.range,
      'this value is fixed when the workflow is planned; an expression cannot be used here',
    );
    return;
  }
  const format = spec.format === undefined ? undefined : FORMATS[spec.format];
  const problem = format?.problem(given);
  if (format && problem !== undefined) {
    const why = problem === '' ? '' : `: ${problem}`;
    problems.error(format.code, value.range, `"${given}" is not ${format.say}${why}`);
  }
}

function wrongType(value: Located, problems: Problems, name: string, wantedText: string): void {
  problems.error('wrong-type', startOf(value), `${name} takes ${wantedText}, not ${describe(value)}`);
}

/** The value's own range when it is short, else its first line: nobody wants a whole mapping underlined. */
function startOf(value: Located): readonly [number, number] {
  return value.kind === 'scalar' ? value.range : [value.range[0], Math.min(value.range[1], value.range[0] + 1)];
}
