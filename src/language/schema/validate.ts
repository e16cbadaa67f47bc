import { Validator } from '@cfworker/json-schema';
import type { JsonObject } from '../../base/json.ts';

export interface SchemaError {
  /** Where in the value, as in `files.0.path`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** What keeps a value from matching a JSON Schema; empty when it matches. Never throws on a strange schema. */
export function validate(value: unknown, schema: JsonObject): SchemaError[] {
  try {
    const { errors } = new Validator(schema, '2020-12', false).validate(value ?? null);
    // A failing part also fails the keyword around it: keep the innermost, which say what is really wrong.
    const inner = errors.filter(({ keyword }) => keyword !== 'properties' && keyword !== 'items' && keyword !== '$ref');
    return inner.map(({ instanceLocation, error }) => ({
      path: instanceLocation.replace(/^#\/?/, '').replaceAll('/', '.'),
      message: error.charAt(0).toLowerCase() + error.slice(1),
    }));
  } catch (error) {
    return [
      { path: '', message: `the schema cannot be used: ${error instanceof Error ? error.message : String(error)}` },
    ];
  }
}

/** One sentence for all of a value's errors. */
export function validationSentence(errors: readonly SchemaError[]): string {
  return errors.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
}
