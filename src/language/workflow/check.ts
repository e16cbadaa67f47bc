import { didYouMean } from '../../base/nearest.ts';
import { type Diagnostic, Problems, type RelatedPlace } from '../diagnostics.ts';
import { hasExpression } from '../expression/template.ts';
import { type Located, readYaml, textOf, toJson, valueAt } from '../located.ts';
import { checkKeys } from '../shape.ts';
import { BUILT_IN_AGENTS, type Surroundings } from '../signature.ts';
import { checkExpressions } from './check-expressions.ts';
import { checkProducts } from './check-products.ts';
import { checkWith } from './check-with.ts';
import { Graph } from './graph.ts';
import { ACTION_KEYS, KEYS_OF_ACTION, WORKFLOW_KEYS } from './keys.ts';
import { buildModel, type StepModel, type WorkflowModel } from './model.ts';

const MAX_STEPS = 20_000;

const ACTIONS = Object.keys(ACTION_KEYS);
const PLACED_KEYS = Object.entries(KEYS_OF_ACTION);

declare const checkedBrand: unique symbol;

/** A workflow without errors: the only thing that a plan can be made from. */
export interface CheckedWorkflow {
  readonly [checkedBrand]: true;
  readonly model: WorkflowModel;
  readonly surroundings: Surroundings;
}

export interface WorkflowCheck {
  readonly model: WorkflowModel;
  readonly diagnostics: readonly Diagnostic[];
  /** Present only when there is no error. */
  readonly checked?: CheckedWorkflow;
}

/** Checks the text of a `.workflow.yaml`. Never throws, never stops at a first problem. */
export function checkWorkflow(text: string, surroundings: Surroundings): WorkflowCheck {
  const problems = new Problems();
  const root = readYaml(text, problems);
  const model = buildModel(root);
  checkTop(root, model, text, problems);
  if (model.steps.length <= MAX_STEPS) {
    for (const step of model.steps) checkStep(step, surroundings, problems);
    const graph = checkGraph(model, problems);
    checkExpressions(model, graph, surroundings, problems);
    checkProducts(model, graph, problems);
  }
  const diagnostics = problems.finish(text);
  if (diagnostics.some((diagnostic) => diagnostic.severity === 'error')) return { model, diagnostics };
  return { model, diagnostics, checked: { model, surroundings } as unknown as CheckedWorkflow };
}

function checkTop(root: Located | undefined, model: WorkflowModel, text: string, problems: Problems): void {
  const end: readonly [number, number] = [0, Math.min(text.length, 1)];
  if (root === undefined || (root.kind === 'scalar' && root.value === null)) {
    if (problems.list.length === 0)
      problems.error('empty-workflow', end, 'the file is empty; a workflow has at least `steps:`');
    return;
  }
  if (root.kind !== 'map') {
    problems.error('wrong-type', [root.range[0], root.range[0] + 1], 'a workflow is a mapping with `steps`');
    return;
  }
  checkKeys(root.entries, WORKFLOW_KEYS, problems, 'a workflow');
  const steps = valueAt(root, 'steps');
  // Where the text is broken, what seems to be missing may only not have been read.
  const broken = problems.list.some((problem) => problem.code === 'yaml-syntax');
  if (steps === undefined && !broken) {
    problems.error('missing-key', [root.range[0], root.range[0] + 1], 'a workflow needs "steps": the steps, by id');
  } else if (
    steps &&
    !broken &&
    model.steps.length === 0 &&
    (steps.kind === 'map' || (steps.kind === 'scalar' && steps.value === null))
  ) {
    problems.error('empty-workflow', steps.range, 'a workflow needs at least one step');
  }
  if (model.steps.length > MAX_STEPS) {
    problems.error(
      'too-large',
      steps!.range,
      `the workflow has ${model.steps.length} steps; the limit is ${MAX_STEPS}`,
    );
  }
  checkInputs(model, problems);
}

function checkInputs(model: WorkflowModel, problems: Problems): void {
  for (const [name, input] of model.inputs) {
    const fallback = valueAt(input, 'default');
    if (fallback === undefined) continue;
    const type = textOf(valueAt(input, 'type')) ?? 'string';
    const value = toJson(fallback);
    if (!isOfType(value, type)) {
      problems.error('wrong-type', fallback.range, `the default of input "${name}" is not of type ${type}`);
      continue;
    }
    const choices = valueAt(input, 'enum');
    if (choices?.kind === 'list' && !choices.items.some((item) => item.kind === 'scalar' && item.value === value)) {
      problems.error('wrong-value', fallback.range, `the default of input "${name}" is not one of its values`);
    }
  }
}

export function isOfType(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return value !== null && typeof value === 'object' && !Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === type;
}

function checkStep(step: StepModel, surroundings: Surroundings, problems: Problems): void {
  const { entry, keys } = step;
  if (entry.value.kind !== 'map') {
    // The shape check has reported anything but an empty value.
    if (entry.value.kind === 'scalar' && entry.value.value === null) noAction(step, problems);
    return;
  }
  const actions = ACTIONS.filter((name) => keys.has(name));
  if (actions.length === 0) noAction(step, problems);
  for (const extra of actions.slice(1)) {
    const related: RelatedPlace[] = [
      { message: `"${actions[0]}" is its action already`, range: keys.get(actions[0]!)!.keyRange },
    ];
    problems.error(
      'two-actions',
      keys.get(extra)!.keyRange,
      `step "${step.id}" has two actions, "${actions[0]}" and "${extra}"; make two steps of it`,
      related,
    );
  }
  for (const [key, allowed] of PLACED_KEYS) {
    const misplaced = keys.get(key);
    if (misplaced && step.action && !allowed.includes(step.action)) {
      problems.error(
        'key-not-for-action',
        misplaced.keyRange,
        `"${key}" means nothing for a step with "${step.action}"; it goes with ${allowed.join(', ')}`,
      );
    }
  }
  checkScript(step, problems);
  checkAsk(step, problems);
  checkAgent(step, surroundings, problems);
  checkWith(step, surroundings, problems);
}

function noAction(step: StepModel, problems: Problems): void {
  problems.error(
    'no-action',
    step.entry.keyRange,
    `step "${step.id}" does nothing; give it one of ${Object.keys(ACTION_KEYS).join(', ')}`,
  );
}

function checkScript(step: StepModel, problems: Problems): void {
  for (const key of ['run', 'python', 'launch']) {
    const script = step.keys.get(key)?.value;
    const text = textOf(script);
    if (script === undefined || text === undefined) continue;
    if (text.trim() === '') problems.error('wrong-value', step.keys.get(key)!.keyRange, `"${key}" is empty`);
    if (text.includes('\0')) problems.error('wrong-value', script.range, `"${key}" holds a NUL character`);
    if (hasExpression(text)) {
      problems.error(
        'expression-in-script',
        script.range,
        `an expression in "${key}" would be run as code; put it into "env" and use the variable`,
      );
    }
  }
}

function checkAsk(step: StepModel, problems: Problems): void {
  const ask = step.keys.get('ask')?.value;
  const onTimeout = valueAt(ask, 'on_timeout');
  if (onTimeout === undefined) return;
  const options = valueAt(ask, 'options');
  const names = options?.kind === 'list' ? options.items.map((item) => textOf(item) ?? '') : [];
  const chosen = textOf(onTimeout);
  if (chosen !== undefined && !names.includes(chosen)) {
    problems.error('wrong-value', onTimeout.range, `"${chosen}" is not one of the options${didYouMean(chosen, names)}`);
  }
  if (valueAt(ask, 'timeout') === undefined) {
    problems.error('missing-key', onTimeout.range, '"on_timeout" needs a "timeout"');
  }
}

function checkAgent(step: StepModel, surroundings: Surroundings, problems: Problems): void {
  const agent = step.keys.get('agent')?.value;
  const name = textOf(agent);
  if (agent === undefined || name === undefined) return;
  const known = [...BUILT_IN_AGENTS, ...surroundings.agents()];
  if (!known.includes(name)) {
    problems.error(
      'unknown-agent',
      agent.range,
      `no agent is called "${name}"${didYouMean(name, known) || `; known: ${known.join(', ')}`}`,
    );
  }
}

function checkGraph(model: WorkflowModel, problems: Problems): Graph {
  const dependencies = model.steps.map((step) => {
    const seen = new Set<string>();
    return step.dependsOn.flatMap(({ id, value }) => {
      const target = model.byId.get(id);
      if (id === step.id) problems.error('self-dependency', value.range, `step "${id}" depends on itself`);
      else if (seen.has(id)) problems.warning('duplicate-dependency', value.range, `"${id}" is named twice`);
      else if (!target)
        problems.error('unknown-step', value.range, `no step is called "${id}"${didYouMean(id, model.byId.keys())}`);
      const valid = target !== undefined && id !== step.id && !seen.has(id);
      seen.add(id);
      return valid ? [target.index] : [];
    });
  });
  const graph = new Graph(dependencies);
  for (const cycle of graph.cycles()) reportCycle(cycle, model, problems);
  checkNeverRuns(model, graph, problems);
  return graph;
}

function reportCycle(cycle: readonly number[], model: WorkflowModel, problems: Problems): void {
  const steps = cycle.map((index) => model.steps[index]!);
  const path = [...steps, steps[0]!].map((step) => step.id).join(' → ');
  const edge = (position: number) => {
    const next = steps[(position + 1) % steps.length]!;
    return steps[position]!.dependsOn.find(({ id }) => id === next.id)!.value;
  };
  const related = steps.slice(1).map((step, position): RelatedPlace => {
    const next = steps[(position + 2) % steps.length]!;
    return { message: `"${step.id}" waits for "${next.id}"`, range: edge(position + 1).range };
  });
  problems.error(
    'cycle',
    edge(0).range,
    `these steps wait for each other: ${path}; remove one of the dependencies`,
    related,
  );
}

function checkNeverRuns(model: WorkflowModel, graph: Graph, problems: Problems): void {
  const never = new Set<number>();
  for (const step of model.steps) {
    const when = step.keys.get('when')?.value;
    if (when?.kind !== 'scalar') continue;
    if (when.value === false || (typeof when.value === 'string' && when.value.trim() === 'false')) {
      never.add(step.index);
      problems.warning('never-runs', when.range, `step "${step.id}" can never run: its "when" is always false`);
    }
  }
  if (never.size === 0) return;
  const dependents = new Map<number, number[]>();
  for (const [index, list] of graph.dependencies.entries()) {
    for (const target of list) dependents.set(target, [...(dependents.get(target) ?? []), index]);
  }
  const queue = [...never];
  for (let head = 0; head < queue.length; head++) {
    for (const index of dependents.get(queue[head]!) ?? []) {
      const step = model.steps[index]!;
      if (never.has(index) || step.keys.has('when')) continue;
      never.add(index);
      queue.push(index);
      const cause = model.steps[queue[head]!]!;
      problems.warning(
        'never-runs',
        step.entry.keyRange,
        `step "${step.id}" can never run: it waits for "${cause.id}", which cannot`,
      );
    }
  }
}
