import { isObject, type JsonObject } from '../../base/json.ts';

/** A typed field of a workflow's inputs or of a question. */
export interface Field {
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object';
  readonly description?: string;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly min?: number;
  readonly max?: number;
}

export function toField(source: unknown): Field {
  const field = isObject(source) ? source : {};
  return { ...field, type: typeof field['type'] === 'string' ? (field['type'] as Field['type']) : 'string' };
}

/** JSON Schema of a field. */
export function fieldSchema(source: unknown): JsonObject {
  const { type, description, enum: choices, pattern, min, max } = toField(source);
  const schema: JsonObject = { type };
  if (description !== undefined) schema['description'] = description;
  if (choices !== undefined) schema['enum'] = choices as JsonObject[];
  if (pattern !== undefined) schema['pattern'] = pattern;
  if (min !== undefined) schema['minimum'] = min;
  if (max !== undefined) schema['maximum'] = max;
  return schema;
}

/**
 * The value of a field from text that a person typed. Undefined when the text is not of the field's type.
 */
export function fieldFromText(text: string, field: Field): unknown {
  switch (field.type) {
    case 'string':
      return text;
    case 'boolean':
      return text === 'true' || text === 'yes' ? true : text === 'false' || text === 'no' ? false : undefined;
    case 'integer':
      return /^-?\d+$/.test(text.trim()) ? Number(text) : undefined;
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
    default:
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return undefined;
      }
  }
}
