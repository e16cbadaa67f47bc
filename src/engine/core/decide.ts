import { evaluateExpression, parseExpression } from '../../language/expression/cel.ts';
import type { Retry } from '../../language/workflow/plan.ts';
import type { RunEvent, StepFailure } from './events.ts';
import { type ArtifactReader, scopeValues } from './scope.ts';
import { counts, needsSlot, parallelLimit, type RunState, type StepState } from './state.ts';

export interface DecideContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Steps at the same time when the workflow does not say. */
  readonly parallel: number;
  /**
   * How many scripts beyond the limit may be handed over, to wait in the runner until one of the others ends: the runner keeps
   * to the limit, and short scripts need not wait for the way there and back. 0 unless steps are short.
   */
  readonly ahead: number;
  readonly artifacts: ArtifactReader;
}

/**
 * The next thing that must happen in a run, or undefined when it is somebody else’s turn. Pure: the same state and
 * context give the same event. Whoever calls applies the event with `evolve` and asks again.
 */
export function decide(state: RunState, context: DecideContext): RunEvent | undefined {
  if (state.finished || state.startedAt === undefined) return undefined;
  const limit = state.plan.limits.time;
  if (limit !== undefined && !state.cancelling && context.now >= state.startedAt + limit) {
    return { type: 'run.cancelling', reason: 'time-limit', force: false };
  }
  const deadline = state.deadlines.peek();
  if (deadline && context.now >= deadline.at) return expire(deadline.step);
  const decidable = state.decidable.peek();
  if (decidable) {
    const event = decideStep(state, decidable, context);
    const full = state.running >= parallelLimit(state, context.parallel) && needsSlot(decidable);
    return event.type === 'step.started' && (state.paused || full) ? undefined : event;
  }
  if (state.open === 0) return finish(state);
  if (state.relaunching.size > 0) return undefined;
  const free = parallelLimit(state, context.parallel) - state.running;
  if (state.paused || free + context.ahead <= 0) return undefined;
  const ready = state.ready.peek();
  if (free <= 0) return ready && canWaitInRunner(ready) ? decideStep(state, ready, context) : undefined;
  const retry = state.retries.peek();
  if (retry && context.now >= retry.at && !retry.step.step.locks.some((lock) => state.lockHolders.has(lock))) {
    return start(retry.step);
  }
  return ready && decideStep(state, ready, context);
}

/** A script without locks: it can stand in line, and nobody can tell. */
function canWaitInRunner({ step }: StepState): boolean {
  return step.action === 'run' && step.heal === undefined && step.locks.length === 0;
}

/** When to ask again although nothing happened: milliseconds since 1970. */
export function nextDue(state: RunState): number | undefined {
  const limit = state.plan.limits.time;
  const deadline =
    limit !== undefined && state.startedAt !== undefined && !state.cancelling ? state.startedAt + limit : Infinity;
  const due = Math.min(deadline, state.retries.peek()?.at ?? Infinity, state.deadlines.peek()?.at ?? Infinity);
  return Number.isFinite(due) && !state.finished ? due : undefined;
}

function decideStep(state: RunState, step: StepState, context: DecideContext): RunEvent {
  const { path } = step;
  if (step.status === 'waiting') return decideAnswer(step);
  if (step.status === 'running') return closeGroup(step);
  const bad = step.dependencies.filter((dependency) => !counts(dependency));
  if (step.step.when === undefined) {
    if (bad.length > 0) return { type: 'step.skipped', step: path, because: reasonFor(bad), blockedBy: rootsOf(bad) };
    return start(step);
  }
  if (step.isInstance) return start(step);
  const calls = parseExpression(step.step.when).calls;
  const asksForStatus = calls.some((name) => name === 'always' || name === 'failure' || name === 'success');
  if (!asksForStatus && bad.length > 0) {
    return { type: 'step.skipped', step: path, because: reasonFor(bad), blockedBy: rootsOf(bad) };
  }
  try {
    const status = { success: () => bad.length === 0, failure: () => bad.some(failedUpstream) };
    const value = evaluateExpression(step.step.when, scopeValues(state, step, context.artifacts), status);
    if (value === true) return start(step);
    if (value === false) return { type: 'step.skipped', step: path, because: 'condition' };
    return conditionFailed(path, `"when" gave ${JSON.stringify(value)}, not true or false`);
  } catch (error) {
    return conditionFailed(
      path,
      `"when" cannot be evaluated: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function conditionFailed(step: string, message: string): RunEvent {
  return { type: 'step.failed', step, failure: { reason: 'bad-condition', message } };
}

/** A step that waits on one that a condition skipped is skipped for the same reason, not blamed on a failure. */
function reasonFor(bad: readonly StepState[]): 'blocked' | 'condition' {
  return bad.every((step) => step.status === 'skipped' && step.skip?.because === 'condition') ? 'condition' : 'blocked';
}

/** The steps that really failed, behind those that were only blocked by them. */
function rootsOf(bad: readonly StepState[]): string[] {
  return [
    ...new Set(bad.flatMap((step) => (step.status === 'skipped' ? [...(step.skip?.blockedBy ?? [])] : [step.path]))),
  ];
}

function failedUpstream(step: StepState): boolean {
  return step.status === 'failed' || (step.status === 'skipped' && step.skip?.because === 'blocked');
}

function start(step: StepState): RunEvent {
  return { type: 'step.started', step: step.path, attempt: step.attempts.length + 1 };
}

function expire(step: StepState): RunEvent {
  const option = step.question?.onTimeout;
  if (option !== undefined) return { type: 'step.answered', step: step.path, answer: { option, by: 'timeout' } };
  return { type: 'step.failed', step: step.path, failure: { reason: 'no-answer', message: 'nobody answered in time' } };
}

function decideAnswer(step: StepState): RunEvent {
  const { path, answer, question } = step;
  if (question?.kind === 'escalation' || question?.kind === 'approval') {
    return answer?.option === 'skip' ? { type: 'step.skipped', step: path, because: 'person' } : start(step);
  }
  if (question?.kind === 'task' && answer?.option === 'failed') {
    const message = `the person it was assigned to says that it failed${answer.text ? `: ${answer.text}` : ''}`;
    return { type: 'step.failed', step: path, failure: { reason: 'person', message } };
  }
  const outputs = {
    ...(question?.kind === 'prompt' ? {} : { answer: answer?.option ?? answer?.text ?? '' }),
    text: answer?.text ?? '',
    ...answer?.fields,
  };
  return { type: 'step.completed', step: path, outputs };
}

function closeGroup(group: StepState): RunEvent {
  const children = group.children ?? [];
  const failed = children.filter((child) => child.status === 'failed' && !child.step.allowFailure);
  if (failed.length > 0) {
    const names = failed.map((child) => child.path);
    const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
    return {
      type: 'step.failed',
      step: group.path,
      failure: { reason: 'children-failed', message: `${shown} failed` },
    };
  }
  if (children.some((child) => child.status === 'cancelled')) return { type: 'step.cancelled', step: group.path };
  if (children.length === 0 && group.step.forEach !== undefined) {
    return { type: 'step.completed', step: group.path, outputs: { items: [] } };
  }
  const outputs = children[0]?.isInstance
    ? { items: children.map((child) => child.outputs) }
    : Object.fromEntries(children.map((child) => [child.step.id, child.outputs]));
  const artifacts = children[0]?.isInstance ? [] : children.flatMap((child) => child.artifacts);
  return { type: 'step.completed', step: group.path, outputs, ...(artifacts.length > 0 ? { artifacts } : {}) };
}

function finish(state: RunState): RunEvent {
  if (state.cancelling) {
    if (state.cancelling.reason === 'time-limit') {
      return { type: 'run.finished', status: 'failed', message: 'the run took longer than `limits.time`' };
    }
    return { type: 'run.finished', status: 'cancelled' };
  }
  for (const step of state.steps.values()) {
    if (step.status === 'failed' && !step.step.allowFailure && step.parent === undefined) {
      return { type: 'run.finished', status: 'failed' };
    }
  }
  return { type: 'run.finished', status: 'completed' };
}

/** When a failed attempt is tried again by the step’s own `retry`, in milliseconds from now; undefined when it is not. */
export function retryDelay(retry: Retry | undefined, tries: number, failure: StepFailure): number | undefined {
  if (!retry || tries >= retry.maxAttempts) return undefined;
  if (retry.onExitCodes && !(failure.exitCode !== undefined && retry.onExitCodes.includes(failure.exitCode)))
    return undefined;
  const factor = { constant: 1, linear: tries, exponential: 2 ** (tries - 1) }[retry.backoff];
  return Math.min(retry.delay * factor, 3_600_000);
}

/** A step and everything that depends on it, in an order in which they can be reset. */
export function downstream(step: StepState): StepState[] {
  const found = new Set<StepState>([step]);
  for (const next of found) for (const dependent of next.dependents) found.add(dependent);
  return [...found];
}

/** What a resume resets: what failed or was cancelled, and what that kept from running. */
export function resumable(state: RunState): StepState[] {
  const found = new Set<StepState>();
  for (const step of state.steps.values()) {
    if (step.parent) continue;
    if (step.status === 'cancelled' || (step.status === 'failed' && !step.step.allowFailure)) {
      for (const next of downstream(step)) found.add(next);
    }
  }
  return [...found];
}
