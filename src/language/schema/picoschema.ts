import { isObject, type JsonObject } from '../../base/json.ts';

const SCALARS = new Set(['string', 'boolean', 'null', 'number', 'integer', 'any']);
const JSON_SCHEMA_TYPES = new Set([...SCALARS, 'object', 'array']);

/**
 * JSON Schema of a schema written as JSON Schema or Picoschema (google/dotprompt's short form). Returns a sentence
 * instead when it is neither.
 */
export function toJsonSchema(source: unknown): JsonObject | string {
  if (source === undefined || source === null) return {};
  if (typeof source === 'string') return scalar(source);
  if (!isObject(source)) return 'a schema is a mapping or the name of a type';
  if (looksLikeJsonSchema(source)) {
    return source['type'] === undefined && source['properties'] !== undefined
      ? { type: 'object', ...(source as JsonObject) }
      : (source as JsonObject);
  }
  return object(source);
}

function looksLikeJsonSchema(source: Record<string, unknown>): boolean {
  const { type } = source;
  if (typeof type === 'string' && JSON_SCHEMA_TYPES.has(type)) return true;
  if (Array.isArray(type)) return true;
  return ['properties', '$ref', '$schema', 'enum', 'anyOf', 'oneOf', 'allOf', 'const'].some(
    (key) => key in source && !isPicoField(source[key]),
  );
}

function isPicoField(value: unknown): boolean {
  return typeof value === 'string' && SCALARS.has(value.split(',')[0]!.trim());
}

function scalar(text: string): JsonObject | string {
  const comma = text.indexOf(',');
  const type = (comma === -1 ? text : text.slice(0, comma)).trim();
  const description: JsonObject = comma === -1 ? {} : { description: text.slice(comma + 1).trim() };
  if (!SCALARS.has(type)) return `"${type}" is no type; the types are ${[...SCALARS].join(', ')}`;
  return type === 'any' ? description : { type, ...description };
}

function object(source: Record<string, unknown>): JsonObject | string {
  const properties: JsonObject = {};
  const required: string[] = [];
  let additional: JsonObject | boolean = false;
  for (const [key, value] of Object.entries(source)) {
    if (key === '(*)') {
      const schema = toJsonSchema(value);
      if (typeof schema === 'string') return schema;
      additional = schema;
      continue;
    }
    const match = /^([A-Za-z_$][\w$-]*)(\?)?(?:\((array|object|enum)(?:,\s*(.*))?\))?$/s.exec(key);
    if (!match) return `"${key}" is no Picoschema property: write \`name\`, \`name?\` or \`name(array, description)\``;
    const [, name, optional, kind, description] = match;
    const schema = property(kind, value);
    if (typeof schema === 'string') return schema;
    if (!optional) required.push(name!);
    properties[name!] = { ...(optional ? nullable(schema) : schema), ...(description ? { description } : {}) };
  }
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties: additional };
}

function property(kind: string | undefined, value: unknown): JsonObject | string {
  if (kind === 'enum') return Array.isArray(value) ? { enum: value } : 'an enum is a list of values';
  if (kind === 'array') {
    const items = toJsonSchema(value);
    return typeof items === 'string' ? items : { type: 'array', items };
  }
  if (kind === 'object') return isObject(value) ? object(value) : 'an object is a mapping of its properties';
  return toJsonSchema(value);
}

function nullable(schema: JsonObject): JsonObject {
  if (Array.isArray(schema['enum'])) return { ...schema, enum: [...schema['enum'], null] };
  return typeof schema['type'] === 'string' ? { ...schema, type: [schema['type'], 'null'] } : schema;
}
