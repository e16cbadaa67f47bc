import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject } from '../../base/json.ts';
import { validate, validationSentence } from '../../language/schema/validate.ts';
import { defineStation } from './define-station.ts';
import { failed } from './station.ts';

/** Checks that files exist and that a value or a JSON file matches a schema: a gate between steps. */
export const validateStation = defineStation({
  name: 'validate',
  description: 'Checks that files exist, hold what they should, and that a value matches a JSON Schema.',
  inputs: {
    files: { type: 'array', items: { type: 'string' }, description: 'Files that must exist and not be empty.' },
    contains: { type: 'object', description: 'File → regular expression that its text must match.' },
    value: { description: 'A value to check against `schema`.' },
    json: { type: 'string', description: 'A JSON file to check against `schema`.' },
    schema: { type: 'object', description: 'The JSON Schema.' },
  },
  outputs: { checks: { type: 'integer' } },
  async execute({ with: inputs, cwd }) {
    const problems: string[] = [];
    let checks = 0;
    const text = (file: string): string | undefined => {
      try {
        return readFileSync(join(cwd, file), 'utf8');
      } catch {
        problems.push(`${file} does not exist`);
        return undefined;
      }
    };
    for (const file of Array.isArray(inputs['files']) ? inputs['files'].map(String) : []) {
      checks++;
      if (text(file) === '') problems.push(`${file} is empty`);
    }
    for (const [file, pattern] of Object.entries(isObject(inputs['contains']) ? inputs['contains'] : {})) {
      checks++;
      const content = text(file);
      if (content !== undefined && !new RegExp(String(pattern), 'm').test(content))
        problems.push(`${file} holds nothing that matches /${pattern}/`);
    }
    const schema = isObject(inputs['schema']) ? (inputs['schema'] as JsonObject) : undefined;
    if (schema) {
      checks++;
      try {
        const value = typeof inputs['json'] === 'string' ? JSON.parse(text(inputs['json']) ?? 'null') : inputs['value'];
        const errors = validate(value, schema);
        if (errors.length > 0) problems.push(validationSentence(errors));
      } catch (error) {
        problems.push(`${inputs['json']} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (checks === 0)
      return failed('nothing-to-check', '"with" names nothing to check: give files, contains or schema');
    return problems.length > 0 ? failed('invalid', problems.join('; ')) : { kind: 'completed', outputs: { checks } };
  },
});
