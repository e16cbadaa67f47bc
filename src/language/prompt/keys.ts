import { type KeyTable, key, list, object, text, type ValueSpec } from '../keys.ts';

const schema: ValueSpec = { kind: 'any' };

export const PROMPT_KEYS: KeyTable = {
  name: key(text, 'The prompt’s name; the file’s name when absent.'),
  description: key(text, 'What the prompt asks for.'),
  variant: key(text, 'A variant of the prompt of the same name.'),
  version: key(text, 'The version of the prompt.'),
  model: key(text, 'The model that answers.'),
  config: key({ kind: 'map', keys: 'name', of: { kind: 'any' } }, 'Settings of the model, such as `temperature`.'),
  tools: key(list({ kind: 'any' }), 'Tools the model may use.'),
  schema: key(schema, 'JSON Schema or Picoschema of what goes in.'),
  input: key(
    object({
      schema: key(schema, 'The same as `schema`.'),
      default: key({ kind: 'map', keys: 'name', of: { kind: 'any' } }, 'Values for what is not given.'),
    }),
    'What goes in, as dotprompt writes it.',
  ),
  output: key(
    object({
      format: key({ kind: 'enum', values: ['text', 'json', 'media'] }, 'The form of the answer.'),
      schema: key(schema, 'JSON Schema or Picoschema of the answer.'),
    }),
    'What comes out.',
  ),
  metadata: key({ kind: 'map', keys: 'name', of: { kind: 'any' } }, 'Anything for other tools.'),
};

/** Keys of VS Code’s own `.prompt.md`, accepted in files of that name. */
export const VSCODE_PROMPT_KEYS: KeyTable = {
  ...PROMPT_KEYS,
  agent: key(text, 'VS Code: the agent that runs the prompt.'),
  mode: key(text, 'VS Code: the chat mode.'),
  'argument-hint': key(text, 'VS Code: what to type after the prompt’s name.'),
};
