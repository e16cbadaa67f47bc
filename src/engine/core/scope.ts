import type { Json } from '../../base/json.ts';
import { resolveValue } from '../../language/expression/resolve.ts';
import { hasExpression } from '../../language/expression/template.ts';
import type { Plan } from '../../language/workflow/plan.ts';
import type { Artifact } from './events.ts';
import type { RunState, StepState } from './state.ts';

/** Reads stored artifacts. Content-addressed, so the same address always gives the same text. */
export interface ArtifactReader {
  readonly runId: string;
  /** @throws Error when the blob is gone or is not text */
  text(sha256: string): string;
  /** The absolute path of an artifact’s content. */
  path(sha256: string): string;
}

/** The values that expressions of a step can name; see formats.md. Only what the step depends on is visible. */
export function scopeValues(
  state: RunState,
  step: StepState,
  reader: ArtifactReader,
  extra: Record<string, unknown> = {},
): Record<string, unknown> {
  const { scope } = step;
  const prefix = scope.path === '' ? '' : `${scope.path}/`;
  const run = { id: reader.runId, started_at: new Date(state.startedAt ?? state.createdAt).toISOString() };
  return {
    inputs: scope.plan.inputs,
    env: resolvedEnv(scope.plan, run),
    run,
    ...named(state, step, prefix, reader),
    ...(step.isInstance ? { item: step.item } : {}),
    ...extra,
  };
}

/** The workflow's own environment as expressions see it; what holds a secret is left out. */
function resolvedEnv(plan: Plan, run: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(plan.env);
  if (!names.some((name) => hasExpression(plan.env[name]!))) return plan.env;
  const open = names.filter((name) => !/\bsecrets\b/.test(plan.env[name]!));
  return Object.fromEntries(open.map((name) => [name, resolveValue(plan.env[name], { inputs: plan.inputs, run })]));
}

function named(state: RunState, step: StepState, prefix: string, reader: ArtifactReader) {
  const source = sourceOf(state, step);
  const steps: Record<string, unknown> = {};
  const artifacts: Record<string, unknown> = {};
  for (const id of referenced(source)) {
    const other = state.steps.get(prefix + id);
    if (!other) continue;
    steps[id] = stepValue(other);
    artifacts[id] = Object.fromEntries(
      other.artifacts.map((artifact) => [artifact.name, artifactValue(artifact, reader)]),
    );
  }
  return { steps, artifacts };
}

function sourceOf(state: RunState, step: StepState): StepState {
  return step.isInstance ? (state.steps.get(step.path.replace(/\[\d+\]$/, '')) ?? step) : step;
}

/** Ids that a step’s expressions name: building the scope must not cost the whole graph. */
function referenced(step: StepState): ReadonlySet<string> {
  const known = referencedIds.get(step.step);
  if (known) return known;
  const ids = new Set<string>();
  const text = JSON.stringify([
    step.step.when,
    step.step.forEach,
    step.step.with,
    step.step.env,
    step.step.produces,
    step.step.subject,
    step.step.ready,
  ]);
  for (const match of text.matchAll(/\b(?:steps|artifacts)\s*(?:\.\s*([a-z][a-z0-9_]*)|\[\s*\\?["']([^"'\\]+))/g))
    ids.add(match[1] ?? match[2]!);
  referencedIds.set(step.step, ids);
  return ids;
}
const referencedIds = new WeakMap<object, ReadonlySet<string>>();

export function stepValue(step: StepState): Record<string, unknown> {
  return { status: step.status, outputs: step.outputs, duration: durationOf(step), attempt: step.attempts.length };
}

/** Seconds from the first start to the last end. */
export function durationOf(step: StepState): number {
  const first = step.attempts[0];
  const last = step.attempts[step.attempts.length - 1];
  return first && last?.endedAt !== undefined ? Math.max(0, last.endedAt - first.startedAt) / 1000 : 0;
}

function artifactValue(artifact: Artifact, reader: ArtifactReader): Record<string, unknown> {
  return {
    path: reader.path(artifact.sha256),
    version: artifact.version,
    sha256: artifact.sha256,
    get text() {
      return reader.text(artifact.sha256);
    },
    get json() {
      return JSON.parse(reader.text(artifact.sha256)) as Json;
    },
  };
}
