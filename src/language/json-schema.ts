import type { JsonObject } from '../base/json.ts';
import type { KeyTable, ValueSpec } from './keys.ts';

/** The JSON Schema of a table of keys, for editors that know no more than that. */
export function jsonSchemaOf(title: string, keys: KeyTable, required: readonly string[] = []): JsonObject {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title, ...objectSchema(keys, required) };
}

function objectSchema(keys: KeyTable, required: readonly string[] = []): JsonObject {
  const properties: JsonObject = {};
  for (const [name, { value, description }] of Object.entries(keys))
    properties[name] = { description, ...valueSchema(value) };
  return {
    type: 'object',
    properties,
    additionalProperties: false,
    ...(required.length > 0 ? { required: [...required] } : {}),
  };
}

function valueSchema(spec: ValueSpec): JsonObject {
  switch (spec.kind) {
    case 'text':
      return { type: 'string' };
    case 'boolean':
      return { type: 'boolean' };
    case 'int':
      return {
        type: 'integer',
        ...(spec.min === undefined ? {} : { minimum: spec.min }),
        ...(spec.max === undefined ? {} : { maximum: spec.max }),
      };
    case 'number':
      return { type: 'number' };
    case 'scalar':
      return { type: ['string', 'number', 'boolean'] };
    case 'any':
      return {};
    case 'enum':
      return { enum: [...spec.values] };
    case 'list':
      return { type: 'array', items: valueSchema(spec.of) };
    case 'one-or-many':
      return { anyOf: [valueSchema(spec.of), { type: 'array', items: valueSchema(spec.of) }] };
    case 'map':
      return {
        type: 'object',
        additionalProperties: valueSchema(spec.of),
        ...(spec.keys === 'id' ? { propertyNames: { pattern: '^[a-z][a-z0-9_]*$' } } : {}),
      };
    case 'object':
      return objectSchema(spec.keys, spec.required);
    case 'either':
      return { anyOf: spec.options.map(valueSchema) };
  }
}
