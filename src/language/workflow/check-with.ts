import { isObject, type JsonObject } from '../../base/json.ts';
import { didYouMean } from '../../base/nearest.ts';
import type { Problems, Range } from '../diagnostics.ts';
import { hasExpression } from '../expression/template.ts';
import { type Located, textOf, toJson } from '../located.ts';
import { validate, validationSentence } from '../schema/validate.ts';
import type { Surroundings } from '../signature.ts';
import { fieldSchema } from './fields.ts';
import type { StepModel, WorkflowModel } from './model.ts';

/** Checks what a step uses (station, prompt, workflow) and that `with` gives it what it asks for. */
export function checkWith(step: StepModel, surroundings: Surroundings, problems: Problems): void {
  const target = step.action === undefined ? undefined : step.keys.get(step.action)?.value;
  const name = textOf(target);
  if (target === undefined || name === undefined || name === '') return;
  if (step.action === 'use') {
    const stations = surroundings.stations();
    const station = stations.find((candidate) => candidate.name === name);
    if (station) return checkAgainst(step, station.inputs, `station "${name}"`, problems);
    const names = stations.map((candidate) => candidate.name);
    problems.error(
      'unknown-station',
      target.range,
      `no station is called "${name}"${didYouMean(name, names) || `; known: ${names.join(', ')}`}`,
    );
  } else if (step.action === 'prompt') {
    checkPromptUse(step, target, name, surroundings, problems);
  } else if (step.action === 'workflow') {
    const found = surroundings.workflow(name);
    if (found === undefined) problems.error('missing-file', target.range, `the workflow file "${name}" does not exist`);
    else if (found.recursive)
      problems.error('recursive-workflow', target.range, `"${name}" contains this workflow, so it would never end`);
    else if (!found.checked)
      problems.error('invalid-file', target.range, `"${name}" has errors of its own; check that file`);
    else checkAgainst(step, inputsSchema(found.checked.model), `workflow "${name}"`, problems);
  }
}

function checkPromptUse(
  step: StepModel,
  target: Located,
  name: string,
  surroundings: Surroundings,
  problems: Problems,
): void {
  const prompt = surroundings.prompt(name);
  if (!prompt) {
    problems.error('missing-file', target.range, `the prompt file "${name}" does not exist`);
  } else if (prompt.diagnostics.some((diagnostic) => diagnostic.severity === 'error')) {
    problems.error('invalid-file', target.range, `"${name}" has errors of its own; check that file`);
  } else {
    checkAgainst(step, prompt.input, `prompt "${name}"`, problems);
  }
}

/** JSON Schema of a workflow's inputs, as `with` of a step that runs it. */
export function inputsSchema(model: WorkflowModel): JsonObject {
  const properties: JsonObject = {};
  const required: string[] = [];
  for (const [name, input] of model.inputs) {
    const field = toJson(input);
    properties[name] = fieldSchema(field);
    if (isObject(field) && field['required'] === true && field['default'] === undefined) required.push(name);
  }
  return { type: 'object', properties, required, additionalProperties: false };
}

function checkAgainst(step: StepModel, schema: JsonObject, whose: string, problems: Problems): void {
  const properties = isObject(schema['properties']) ? (schema['properties'] as Record<string, JsonObject>) : {};
  const required = Array.isArray(schema['required']) ? (schema['required'] as string[]) : [];
  const given = step.keys.get('with')?.value;
  const entries = given?.kind === 'map' ? given.entries : [];
  for (const name of required) {
    if (entries.some((entry) => entry.key === name)) continue;
    const place: Range = step.keys.get('with')?.keyRange ?? step.keys.get(step.action!)!.keyRange;
    const description = properties[name]?.['description'];
    const why = typeof description === 'string' ? `: ${description}` : '';
    problems.error('missing-with', place, `${whose} needs "${name}" in "with"${why}`);
  }
  const open = schema['additionalProperties'] !== undefined && schema['additionalProperties'] !== false;
  for (const entry of entries) {
    const property = Object.hasOwn(properties, entry.key) ? properties[entry.key]! : undefined;
    if (!property) {
      if (open || Object.keys(schema).length === 0) continue;
      const names = Object.keys(properties);
      const known = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
      problems.error(
        'extra-with',
        entry.keyRange,
        `${whose} has no input "${entry.key}"${didYouMean(entry.key, names) || `; ${known}`}`,
      );
    } else if (!containsExpression(entry.value)) {
      const errors = validate(toJson(entry.value), property);
      if (errors.length > 0) {
        problems.error(
          'wrong-with',
          entry.value.range,
          `${whose} cannot take this as "${entry.key}": ${validationSentence(errors)}`,
        );
      }
    }
  }
}

function containsExpression(value: Located): boolean {
  if (value.kind === 'scalar') return typeof value.value === 'string' && hasExpression(value.value);
  if (value.kind === 'list') return value.items.some(containsExpression);
  return value.entries.some((entry) => containsExpression(entry.value));
}
