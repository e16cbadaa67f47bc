/**
 * What a key takes. One table of these describes each kind of file; checking, completion, hover and the JSON Schemas in
 * `schemas/` all come from it.
 */
export type ValueSpec =
  | { readonly kind: 'text'; readonly format?: TextFormat; readonly expression?: 'template' | 'cel' | 'script' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int'; readonly min?: number; readonly max?: number }
  | { readonly kind: 'number' }
  | { readonly kind: 'scalar' }
  | { readonly kind: 'any'; readonly expression?: 'template' }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'list'; readonly of: ValueSpec }
  | { readonly kind: 'one-or-many'; readonly of: ValueSpec }
  | { readonly kind: 'map'; readonly of: ValueSpec; readonly keys?: 'id' | 'env' | 'path' | 'name' }
  | { readonly kind: 'object'; readonly keys: KeyTable; readonly required?: readonly string[] }
  | { readonly kind: 'either'; readonly options: readonly ValueSpec[]; readonly say: string };

export type TextFormat =
  | 'duration'
  | 'money'
  | 'count'
  | 'cron'
  | 'time-zone'
  | 'glob'
  | 'path'
  | 'step-id'
  | 'agent'
  | 'station'
  | 'env-name';

export interface KeySpec {
  readonly value: ValueSpec;
  readonly description: string;
}

export type KeyTable = Readonly<Record<string, KeySpec>>;

export const text: ValueSpec = { kind: 'text' };
export const template: ValueSpec = { kind: 'text', expression: 'template' };
export const boolean: ValueSpec = { kind: 'boolean' };
export const duration: ValueSpec = { kind: 'text', format: 'duration' };
export const glob: ValueSpec = { kind: 'text', format: 'glob' };
export const path: ValueSpec = { kind: 'text', format: 'path' };
export const count: ValueSpec = {
  kind: 'either',
  say: 'a count such as `500k` or `2M`',
  options: [
    { kind: 'int', min: 0 },
    { kind: 'text', format: 'count' },
  ],
};

export function list(of: ValueSpec): ValueSpec {
  return { kind: 'list', of };
}

export function oneOrMany(of: ValueSpec): ValueSpec {
  return { kind: 'one-or-many', of };
}

export function object(keys: KeyTable, required?: readonly string[]): ValueSpec {
  return required ? { kind: 'object', keys, required } : { kind: 'object', keys };
}

export function key(value: ValueSpec, description: string): KeySpec {
  return { value, description };
}
