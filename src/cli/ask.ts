import { createInterface } from 'node:readline/promises';
import { isObject } from '../base/json.ts';
import type { Answer, Question } from '../engine/core/events.ts';
import { validate, validationSentence } from '../language/schema/validate.ts';
import { fieldFromText, fieldSchema, toField } from '../language/workflow/fields.ts';
import { plain, type Style } from './terminal.ts';

/** Puts a question at the terminal. Undefined when the person wants to answer later. */
export async function askAtTerminal(
  step: string,
  question: Question,
  style: Style,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // The terminal is in the question's hands; Ctrl-C is still for the run.
  terminal.on('SIGINT', () => process.emit('SIGINT'));
  try {
    const ask = (text: string) => terminal.question(text, { signal });
    process.stdout.write(`\n${style.yellow('?')} ${style.bold(step)}\n${plain(question.text)}\n`);
    const option = question.options.length > 0 ? await choose(question.options, ask, style) : undefined;
    if (option === null) return undefined;
    const wantsText = question.options.length === 0 || option === 'help';
    const text = wantsText ? await ask(option === 'help' ? 'What should be known? ' : 'Answer: ') : undefined;
    const fields: Record<string, unknown> = {};
    for (const [name, source] of Object.entries(question.fields ?? {}))
      fields[name] = await askField(name, source, ask);
    return {
      by: 'person',
      ...(option === undefined ? {} : { option }),
      ...(text === undefined ? {} : { text }),
      ...(Object.keys(fields).length > 0 ? { fields } : {}),
    };
  } catch {
    // The question was answered elsewhere, or the run was cancelled.
    return undefined;
  } finally {
    terminal.close();
  }
}

async function choose(
  options: readonly string[],
  ask: (text: string) => Promise<string>,
  style: Style,
): Promise<string | null> {
  const list = options.map((option, index) => `${style.cyan(String(index + 1))} ${option}`).join('   ');
  for (;;) {
    const said = (await ask(`${list}   ${style.dim('(later: empty line)')}\n> `)).trim();
    if (said === '') return null;
    const option =
      options[Number(said) - 1] ?? options.find((candidate) => candidate.toLowerCase().startsWith(said.toLowerCase()));
    if (option !== undefined) return option;
    process.stdout.write(`"${said}" is none of them.\n`);
  }
}

async function askField(name: string, source: unknown, ask: (text: string) => Promise<string>): Promise<unknown> {
  const field = toField(source);
  for (;;) {
    const note = isObject(source) && typeof source['description'] === 'string' ? ` (${source['description']})` : '';
    const said = await ask(`${name}${note}: `);
    if (said === '' && !field.required) return field.default ?? null;
    const value = fieldFromText(said, field);
    const problem =
      value === undefined ? `not of type ${field.type}` : validationSentence(validate(value, fieldSchema(field)));
    if (problem === '') return value;
    process.stdout.write(`${problem}\n`);
  }
}
