import { readFileSync } from 'node:fs';
import { isObject } from '../base/json.ts';
import { fail, messageOf, ok, type Result } from '../base/result.ts';
import { type Field, fieldFromText } from '../language/workflow/fields.ts';

/** Inputs of a run from `--input k=v` and `--inputs file.json`; texts become values of the declared types. */
export function readInputs(
  pairs: readonly string[],
  file: string | undefined,
  fields: Readonly<Record<string, Field>>,
): Result<Record<string, unknown>, 'bad-input'> {
  const inputs: Record<string, unknown> = {};
  if (file !== undefined) {
    try {
      const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
      if (!isObject(value)) return fail('bad-input', `${file} holds no JSON object`);
      Object.assign(inputs, value);
    } catch (error) {
      return fail('bad-input', `${file} cannot be used for inputs: ${messageOf(error)}`);
    }
  }
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) return fail('bad-input', `--input takes name=value, not "${pair}"`);
    const name = pair.slice(0, at);
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const value = field ? fieldFromText(pair.slice(at + 1), field) : pair.slice(at + 1);
    if (value === undefined)
      return fail('bad-input', `input "${name}" is of type ${field!.type}; "${pair.slice(at + 1)}" is not`);
    inputs[name] = value;
  }
  return ok(inputs);
}
