import { canonicalJson, isObject, type JsonObject } from '../../base/json.ts';
import { didYouMean } from '../../base/nearest.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { toJson } from '../located.ts';
import { validate, validationSentence } from '../schema/validate.ts';
import { type Money, parseCount, parseDuration, parseMoney } from '../values.ts';
import type { CheckedWorkflow } from './check.ts';
import { type Field, fieldSchema, toField } from './fields.ts';
import type { Action } from './keys.ts';
import type { StepModel } from './model.ts';

export type { Action } from './keys.ts';

/** A checked workflow made ready to run: plain, immutable data without defaults left open. Times are milliseconds. */
export interface Plan {
  readonly format: 1;
  readonly name: string;
  readonly description?: string;
  readonly fields: Readonly<Record<string, Field>>;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  /** Names of its own secrets and of those of the workflows it contains. */
  readonly secrets: readonly string[];
  readonly limits: {
    readonly parallel?: number;
    readonly time?: number;
    readonly cost?: Money;
    readonly tokens?: number;
  };
  readonly concurrency?: { readonly group: string; readonly onConflict: 'queue' | 'reject' | 'cancel_running' };
  readonly objectives: readonly JsonObject[];
  readonly kpis: readonly JsonObject[];
  readonly steps: readonly PlanStep[];
  /** Plans of the workflow files that steps run, and sources of the prompts, by path: a run keeps its own copy. */
  readonly workflows: Readonly<Record<string, Plan>>;
  readonly prompts: Readonly<Record<string, string>>;
}

export interface PlanStep {
  readonly id: string;
  readonly name?: string;
  readonly description?: string;
  readonly action: Action;
  /** What stands under the action's key: a script, a path, a station's name, the question. */
  readonly subject: unknown;
  readonly dependsOn: readonly string[];
  readonly when?: string;
  readonly forEach?: unknown;
  readonly with: JsonObject;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly shell?: 'sh' | 'bash' | 'pwsh' | 'cmd';
  readonly timeout?: number;
  readonly retry?: Retry;
  readonly allowFailure: boolean;
  readonly produces: Readonly<Record<string, string>>;
  readonly mount: Readonly<Record<string, string>>;
  readonly reads: readonly string[];
  readonly reuse: boolean;
  readonly locks: readonly string[];
  readonly review: boolean;
  readonly heal?: HealPolicy;
  readonly agent?: string;
  readonly requires: readonly string[];
  /** Declared outputs, with their types. */
  readonly outputs: Readonly<Record<string, Field>>;
  readonly assignedTo?: 'human' | 'agentic' | 'functional';
  readonly priority: number;
  readonly ready?: {
    readonly url?: string;
    readonly port?: number | string;
    readonly log?: string;
    readonly timeout: number;
  };
  readonly port?: number | 'auto';
}

export interface Retry {
  readonly maxAttempts: number;
  readonly backoff: 'constant' | 'linear' | 'exponential';
  readonly delay: number;
  readonly onExitCodes?: readonly number[];
}

export interface HealPolicy {
  readonly maxAttemptsPerError: number;
  readonly maxTotalIterations: number;
  readonly maxHealingTime: number;
  readonly maxConsecutiveFailures: number;
  readonly apply: 'ask' | 'auto' | 'never';
}

export const DEFAULT_HEAL: HealPolicy = {
  maxAttemptsPerError: 5,
  maxTotalIterations: 15,
  maxHealingTime: 300_000,
  maxConsecutiveFailures: 3,
  apply: 'auto',
};

/**
 * Makes the plan of a workflow for these inputs. The same text and inputs give the same plan, byte for byte.
 * Fails with one sentence when an input is missing, unknown or ill-typed.
 */
export function createPlan(
  workflow: CheckedWorkflow,
  given: Readonly<Record<string, unknown>>,
): Result<Plan, 'bad-input'> {
  const { root } = workflow.model;
  const fields = Object.fromEntries([...workflow.model.inputs].map(([name, input]) => [name, toField(toJson(input))]));
  const inputs = resolveInputs(fields, given);
  if (!inputs.ok) return inputs;
  const source = toJson(root!) as JsonObject;
  const concurrency = source['concurrency'];
  const parts = embedded(workflow);
  const secrets = [
    ...((source['secrets'] as string[] | undefined) ?? []),
    ...Object.values(parts.workflows).flatMap((plan) => plan.secrets),
  ];
  return ok({
    format: 1,
    name: typeof source['name'] === 'string' ? source['name'] : 'workflow',
    ...(typeof source['description'] === 'string' ? { description: source['description'] } : {}),
    fields,
    inputs: inputs.value,
    env: toEnv(source['env']),
    secrets: [...new Set(secrets)],
    limits: toLimits(source['limits']),
    ...(isObject(concurrency)
      ? {
          concurrency: {
            group: String(concurrency['group']),
            onConflict: (concurrency['on_conflict'] as 'queue' | undefined) ?? 'queue',
          },
        }
      : {}),
    objectives: (source['objectives'] as JsonObject[] | undefined) ?? [],
    kpis: (source['kpis'] as JsonObject[] | undefined) ?? [],
    steps: workflow.model.steps.map(toPlanStep),
    ...parts,
  });
}

/**
 * The plan as text: what is stored, and what its hash is of. Plans are built with their keys in one order, and what a person
 * wrote keeps the order of the text; only inputs come from elsewhere, so only they are brought into an order of their own.
 */
export function canonicalPlan(plan: Plan): string {
  return JSON.stringify({ ...plan, inputs: JSON.parse(canonicalJson(plan.inputs)) as unknown });
}

/** The inputs of a run: given values, then defaults, checked against their fields. */
export function resolveInputs(
  fields: Readonly<Record<string, Field>>,
  given: Readonly<Record<string, unknown>>,
): Result<Record<string, unknown>, 'bad-input'> {
  const problems: string[] = [];
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(fields, name)) {
      const names = Object.keys(fields);
      problems.push(
        `there is no input "${name}"${didYouMean(name, names) || (names.length > 0 ? `; there are ${names.join(', ')}` : '')}`,
      );
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const value = Object.hasOwn(given, name) ? given[name] : field.default;
    if (value === undefined) {
      if (field.required)
        problems.push(`input "${name}" is required${field.description ? `: ${field.description}` : ''}`);
      else values[name] = null;
      continue;
    }
    const errors = validate(value, fieldSchema(field));
    if (errors.length > 0) problems.push(`input "${name}": ${validationSentence(errors)}`);
    values[name] = value;
  }
  return problems.length > 0 ? fail('bad-input', problems.join('; ')) : ok(values);
}

function embedded(workflow: CheckedWorkflow): Pick<Plan, 'workflows' | 'prompts'> {
  const workflows: Record<string, Plan> = {};
  const prompts: Record<string, string> = {};
  for (const step of workflow.model.steps) {
    const path = step.action === undefined ? undefined : toJson(step.keys.get(step.action)!.value);
    if (typeof path !== 'string') continue;
    if (step.action === 'prompt') prompts[path] = workflow.surroundings.prompt(path)?.source ?? '';
    if (step.action === 'workflow' && workflows[path] === undefined) {
      const found = workflow.surroundings.workflow(path)?.checked;
      if (found) workflows[path] = template(found);
    }
  }
  return { workflows, prompts };
}

/** A plan whose inputs are given later, by the step that runs it. */
export function template(workflow: CheckedWorkflow): Plan {
  const withoutInputs = { ...workflow.model, inputs: new Map() };
  const plan = createPlan({ ...workflow, model: withoutInputs }, {});
  if (!plan.ok) throw new Error(plan.failure.message);
  const fields = [...workflow.model.inputs].map(([name, input]) => [name, toField(toJson(input))] as const);
  return { ...plan.value, fields: Object.fromEntries(fields) };
}

function toLimits(source: unknown): Plan['limits'] {
  const limits = isObject(source) ? source : {};
  const { parallel, time, cost, tokens } = limits;
  return {
    ...(typeof parallel === 'number' ? { parallel } : {}),
    ...(typeof time === 'string' ? { time: parseDuration(time)! } : {}),
    ...(typeof cost === 'string' ? { cost: parseMoney(cost)! } : {}),
    ...(typeof tokens === 'string' || typeof tokens === 'number' ? { tokens: parseCount(tokens)! } : {}),
  };
}

function toEnv(source: unknown): Record<string, string> {
  if (!isObject(source)) return {};
  return Object.fromEntries(Object.entries(source).map(([name, value]) => [name, value === null ? '' : String(value)]));
}

function toPlanStep(step: StepModel): PlanStep {
  const source = (step.entry.value.kind === 'map' ? toJson(step.entry.value) : {}) as JsonObject;
  const action = step.action!;
  const text = (key: string) => (typeof source[key] === 'string' ? (source[key] as string) : undefined);
  const time = text('timeout');
  const when = source['when'];
  return {
    id: step.id,
    ...optional('name', text('name')),
    ...optional('description', text('description')),
    action,
    subject: source[action],
    dependsOn: [...new Set(step.dependsOn.map(({ id }) => id))],
    ...optional('when', when === undefined ? undefined : unwrap(String(when))),
    ...optional('forEach', source['for_each']),
    with: isObject(source['with']) ? (source['with'] as JsonObject) : {},
    env: toEnv(source['env']),
    ...optional('cwd', text('cwd')),
    ...optional('shell', text('shell') as PlanStep['shell']),
    ...optional('timeout', time === undefined ? undefined : parseDuration(time)),
    ...optional('retry', toRetry(source['retry'])),
    allowFailure: source['allow_failure'] === true,
    produces: toEnv(source['produces']),
    mount: toEnv(source['mount']),
    reads: (source['reads'] as string[] | undefined) ?? [],
    reuse: source['reuse'] === true,
    locks: toList(source['locks']),
    review: source['review'] === true,
    ...optional('heal', toHeal(source['heal'])),
    ...optional('agent', text('agent')),
    requires: toList(source['requires']),
    outputs: toFields(source['outputs']),
    ...optional('assignedTo', text('assigned_to') as PlanStep['assignedTo']),
    priority: typeof source['priority'] === 'number' ? source['priority'] : 0,
    ...optional('ready', toReady(source['ready'])),
    ...optional('port', source['port'] as PlanStep['port']),
  };
}

/** `when` takes an expression with or without `${{ }}`. */
function unwrap(text: string): string {
  const match = /^\s*\$\{\{(.*)\}\}\s*$/s.exec(text);
  return (match ? match[1]! : text).trim();
}

function toFields(source: unknown): Record<string, Field> {
  if (!isObject(source)) return {};
  return Object.fromEntries(
    Object.entries(source).map(([name, value]) => [name, toField(typeof value === 'string' ? { type: value } : value)]),
  );
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}

function toList(source: unknown): string[] {
  return source === undefined ? [] : Array.isArray(source) ? source.map(String) : [String(source)];
}

function toRetry(source: unknown): Retry | undefined {
  if (!isObject(source)) return undefined;
  return {
    maxAttempts: typeof source['max_attempts'] === 'number' ? source['max_attempts'] : 3,
    backoff: (source['backoff'] as Retry['backoff'] | undefined) ?? 'exponential',
    delay: typeof source['delay'] === 'string' ? parseDuration(source['delay'])! : 1000,
    ...optional('onExitCodes', source['on_exit_codes'] as number[] | undefined),
  };
}

function toHeal(source: unknown): HealPolicy | undefined {
  if (source === true) return DEFAULT_HEAL;
  if (!isObject(source)) return undefined;
  const number = (key: string, fallback: number) => (typeof source[key] === 'number' ? source[key] : fallback);
  const time = source['max_healing_time'];
  return {
    maxAttemptsPerError: number('max_attempts_per_error', DEFAULT_HEAL.maxAttemptsPerError),
    maxTotalIterations: number('max_total_iterations', DEFAULT_HEAL.maxTotalIterations),
    maxHealingTime: typeof time === 'string' ? parseDuration(time)! : DEFAULT_HEAL.maxHealingTime,
    maxConsecutiveFailures: number('max_consecutive_failures', DEFAULT_HEAL.maxConsecutiveFailures),
    apply: (source['apply'] as HealPolicy['apply'] | undefined) ?? DEFAULT_HEAL.apply,
  };
}

function toReady(source: unknown): PlanStep['ready'] {
  if (!isObject(source)) return undefined;
  return {
    ...optional('url', source['url'] as string | undefined),
    ...optional('port', source['port'] as number | string | undefined),
    ...optional('log', source['log'] as string | undefined),
    timeout: typeof source['timeout'] === 'string' ? parseDuration(source['timeout'])! : 60_000,
  };
}
