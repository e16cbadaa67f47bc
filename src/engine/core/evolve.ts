import { Heap } from '../../base/heap.ts';
import type { Plan, PlanStep } from '../../language/workflow/plan.ts';
import type { RecordedEvent, StepFailure } from './events.ts';
import {
  byPriority,
  counts,
  type Due,
  type HealingSession,
  isEnded,
  needsSlot,
  type RunState,
  runsAlways,
  type Scope,
  type StepState,
  type StepStatus,
} from './state.ts';

export function initialState(plan: Plan): RunState {
  return {
    plan,
    steps: new Map(),
    options: { stepByStep: false },
    createdAt: 0,
    paused: false,
    running: 0,
    open: 0,
    waiting: 0,
    questions: 0,
    ready: new Heap(byPriority),
    decidable: new Heap(byPriority),
    retries: new Heap(byTime),
    deadlines: new Heap(byTime),
    lockWaiters: new Map(),
    lockHolders: new Map(),
    relaunching: new Set(),
    artifactVersions: new Map(),
    nextOrder: 0,
  };
}

function byTime(a: Due, b: Due): number {
  return a.at - b.at || a.step.order - b.step.order;
}

/** Folds a whole journal. */
export function fold(plan: Plan, events: Iterable<RecordedEvent>): RunState {
  const state = initialState(plan);
  for (const event of events) evolve(state, event);
  return state;
}

/**
 * Applies one event. The state is owned by its caller and changed in place: an ended step costs its out-degree, not the
 * graph. The result depends on the state and the event alone.
 */
export function evolve(state: RunState, event: RecordedEvent): void {
  apply(state, event);
  settle(state);
}

function apply(state: RunState, event: RecordedEvent): void {
  switch (event.type) {
    case 'run.created':
      state.options = event.options;
      state.createdAt = event.at;
      addScope(state, { path: '', plan: state.plan }, undefined);
      return;
    case 'run.started':
      state.startedAt = event.at;
      return;
    case 'run.paused':
      state.paused = true;
      return;
    case 'run.unpaused':
      state.paused = false;
      return;
    case 'run.cancelling':
      return cancelling(state, event);
    case 'run.finished':
      state.finished = { status: event.status, ...(event.message === undefined ? {} : { message: event.message }) };
      state.finishedAt = event.at;
      return;
    case 'run.resumed':
      delete state.finished;
      delete state.finishedAt;
      delete state.cancelling;
      state.paused = false;
      return;
    default:
  }
  const step = state.steps.get(event.step);
  // A journal names only steps that exist; anything else is a bug, caught at the host's border.
  if (!step) throw new Error(`the journal names step "${event.step}", which the run does not have`);
  switch (event.type) {
    case 'step.started':
      return started(state, step, event.attempt, event.at);
    case 'step.released':
      step.released = true;
      if (isPending(step) && step.waitingFor === 0) makeReady(state, step);
      return;
    case 'step.expanded':
      return expanded(state, step, event.items);
    case 'step.grafted':
      return addScope(state, { path: step.path, plan: event.plan }, step);
    case 'step.completed':
      endAttempt(step, event.at);
      step.outputs = event.outputs ?? step.outputs;
      if (event.artifacts) record(state, step, event.artifacts);
      return end(state, step, 'completed');
    case 'step.reviewing':
      endAttempt(step, event.at);
      step.outputs = event.outputs ?? {};
      if (event.artifacts) record(state, step, event.artifacts);
      leaveRunning(state, step);
      move(state, step, 'awaiting_review');
      return;
    case 'step.continued':
      return end(state, step, 'completed');
    case 'step.attempt_failed':
      endAttempt(step, event.at, event.failure);
      return;
    case 'step.failed':
      endAttempt(step, event.at, event.failure);
      step.failure = event.failure;
      if (event.retryAt === undefined) return end(state, step, 'failed');
      leaveRunning(state, step);
      move(state, step, 'pending');
      step.retryAt = event.retryAt;
      state.retries.push({ step, at: event.retryAt });
      return;
    case 'step.skipped':
      step.skip = { because: event.because, blockedBy: event.blockedBy ?? [] };
      return end(state, step, 'skipped');
    case 'step.cancelled':
      endAttempt(step, event.at);
      return end(state, step, 'cancelled');
    case 'step.interrupted':
      return interrupted(state, step, event.at);
    case 'step.waiting':
      leaveRunning(state, step);
      delete step.answer;
      if (event.question) step.question = event.question;
      move(state, step, 'waiting');
      if (event.question?.deadline !== undefined) state.deadlines.push({ step, at: event.question.deadline });
      if (step.healing) {
        step.healing.spentBefore += event.at - step.healing.resumedAt;
        step.healing.resumedAt = event.at;
      }
      return;
    case 'step.answered':
      return answered(state, step, event);
    case 'step.reset':
      return reset(state, step);
    case 'artifact.rolled_back':
      step.artifacts = step.artifacts.map((artifact) =>
        artifact.name === event.artifact.name ? event.artifact : artifact,
      );
      return;
    case 'service.lost':
      state.relaunching.add(step);
      return reset(state, step);
    case 'service.crashed':
      if (step.status === 'completed') {
        move(state, step, 'failed');
        step.failure = event.failure;
      }
      return;
    case 'heal.begun':
      return beginHealing(step, event);
    case 'heal.acted':
      return healed(step, event);
  }
}

/** The one place where a step's status changes. */
function move(state: RunState, step: StepState, status: StepStatus): void {
  const waits = (of: StepStatus) => (of === 'waiting' || of === 'awaiting_review' ? 1 : 0);
  const asks = (of: StepStatus) => (of === 'waiting' && step.question ? 1 : 0);
  state.waiting += waits(status) - waits(step.status);
  state.questions += asks(status) - asks(step.status);
  step.status = status;
}

function isPending(step: StepState): boolean {
  return step.status === 'pending' || step.status === 'stale';
}

function addScope(state: RunState, scope: Scope, parent: StepState | undefined): void {
  const prefix = scope.path === '' ? '' : `${scope.path}/`;
  const added = scope.plan.steps.map((step) =>
    addStep(state, { path: prefix + step.id, scope, step, isInstance: false }, parent),
  );
  for (const node of added) {
    for (const id of node.step.dependsOn) {
      const dependency = state.steps.get(prefix + id)!;
      node.dependencies.push(dependency);
      dependency.dependents.push(node);
    }
    node.waitingFor = node.dependencies.length;
  }
  if (parent) {
    parent.children = added;
    parent.openChildren = added.length;
    if (added.length === 0) state.decidable.push(parent);
  }
  for (const node of added) if (node.waitingFor === 0) makeReady(state, node);
}

interface NewStep {
  readonly path: string;
  readonly scope: Scope;
  readonly step: PlanStep;
  readonly isInstance: boolean;
  readonly item?: unknown;
}

function addStep(state: RunState, fresh: NewStep, parent: StepState | undefined): StepState {
  const node: StepState = {
    ...fresh,
    order: state.nextOrder++,
    ...(parent ? { parent } : {}),
    dependencies: [],
    dependents: [],
    status: 'pending',
    waitingFor: 0,
    attempts: [],
    execution: 1,
    outputs: {},
    artifacts: [],
    openChildren: 0,
    released: false,
    tries: 0,
  };
  state.steps.set(node.path, node);
  state.open++;
  return node;
}

function expanded(state: RunState, group: StepState, items: readonly unknown[]): void {
  group.children = items.map((item, index) =>
    addStep(
      state,
      { path: `${group.path}[${index}]`, scope: group.scope, step: group.step, isInstance: true, item },
      group,
    ),
  );
  group.openChildren = items.length;
  if (items.length === 0) state.decidable.push(group);
  for (const child of group.children) makeReady(state, child);
}

/** Puts a step whose dependencies have ended where the scheduler finds it. */
function makeReady(state: RunState, step: StepState): void {
  if (mustCancel(state, step)) return end(state, step, 'cancelled');
  const blocked = step.step.when === undefined && !step.dependencies.every(counts);
  if (state.options.stepByStep && !step.released && !blocked && !step.isInstance) return;
  if (blocked || !needsSlot(step) || state.relaunching.has(step)) {
    state.decidable.push(step);
    return;
  }
  const held = heldLock(state, step);
  if (held === undefined) state.ready.push(step);
  else waitForLock(state, step, held);
}

function mustCancel(state: RunState, step: StepState): boolean {
  return state.cancelling !== undefined && (state.cancelling.force || !runsAlways(step));
}

function heldLock(state: RunState, step: StepState): string | undefined {
  return step.step.locks.find((lock) => state.lockHolders.has(lock));
}

function waitForLock(state: RunState, step: StepState, lock: string): void {
  const waiters = state.lockWaiters.get(lock);
  if (waiters) waiters.push(step);
  else state.lockWaiters.set(lock, [step]);
}

/**
 * Keeps at the top of each heap something that can be decided: steps that moved on are dropped, and whoever waits for a
 * lock leaves the heap until it is free. So `decide` only looks, and never has to remove anything.
 */
function settle(state: RunState): void {
  for (let top = state.ready.peek(); top; top = state.ready.peek()) {
    const waits = isPending(top) && top.waitingFor === 0 && top.retryAt === undefined;
    const held = waits ? heldLock(state, top) : undefined;
    if (waits && held === undefined) break;
    state.ready.pop();
    if (held !== undefined) waitForLock(state, top, held);
  }
  for (let top = state.decidable.peek(); top && !canDecide(top); top = state.decidable.peek()) state.decidable.pop();
  for (let top = state.retries.peek(); top; top = state.retries.peek()) {
    if (top.step.status === 'pending' && top.step.retryAt === top.at) break;
    state.retries.pop();
  }
  for (let top = state.deadlines.peek(); top; top = state.deadlines.peek()) {
    const { step } = top;
    if (step.status === 'waiting' && step.answer === undefined && step.question?.deadline === top.at) break;
    state.deadlines.pop();
  }
}

function canDecide(step: StepState): boolean {
  if (isPending(step)) return step.waitingFor === 0 && step.retryAt === undefined;
  if (step.status === 'waiting') return step.answer !== undefined;
  return step.status === 'running' && step.children !== undefined && step.openChildren === 0;
}

function started(state: RunState, step: StepState, attempt: number, at: number): void {
  if (step.status !== 'running') {
    move(state, step, 'running');
    step.tries++;
    delete step.retryAt;
    if (needsSlot(step)) {
      state.running++;
      for (const lock of step.step.locks) state.lockHolders.set(lock, step);
    }
  }
  if (step.healing) step.healing.resumedAt = at;
  delete step.failure;
  delete step.question;
  delete step.answer;
  step.attempts.push({ number: attempt, startedAt: at });
}

function endAttempt(step: StepState, at: number, failure?: StepFailure): void {
  const attempt = step.attempts[step.attempts.length - 1];
  if (!attempt || attempt.endedAt !== undefined) return;
  attempt.endedAt = at;
  if (failure) attempt.failure = failure;
}

/** Gives back the slot and the locks of a step that stops running, for whatever reason. */
function leaveRunning(state: RunState, step: StepState): void {
  if (step.status !== 'running' || !needsSlot(step)) return;
  state.running--;
  for (const lock of step.step.locks) {
    if (state.lockHolders.get(lock) !== step) continue;
    state.lockHolders.delete(lock);
    const waiters = state.lockWaiters.get(lock);
    state.lockWaiters.delete(lock);
    for (const waiter of waiters ?? []) if (isPending(waiter)) makeReady(state, waiter);
  }
}

type EndStatus = 'completed' | 'failed' | 'skipped' | 'cancelled';

function end(state: RunState, first: StepState, firstStatus: EndStatus): void {
  // A queue and no recursion: cancelling a chain of 20,000 steps must not exhaust the call stack.
  const queue: [StepState, EndStatus][] = [[first, firstStatus]];
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [step, status] = next;
    if (isEnded(step)) continue;
    leaveRunning(state, step);
    move(state, step, status);
    state.open--;
    state.relaunching.delete(step);
    if (status === 'completed') delete step.failure;
    for (const dependent of step.dependents) {
      dependent.waitingFor--;
      if (dependent.waitingFor !== 0 || !isPending(dependent)) continue;
      if (mustCancel(state, dependent)) queue.push([dependent, 'cancelled']);
      else makeReady(state, dependent);
    }
    const { parent } = step;
    if (!parent || isEnded(parent)) continue;
    parent.openChildren--;
    if (parent.openChildren === 0) state.decidable.push(parent);
  }
}

function record(state: RunState, step: StepState, artifacts: StepState['artifacts']): void {
  step.artifacts = artifacts;
  for (const artifact of artifacts) {
    const key = `${step.path}/${artifact.name}`;
    state.artifactVersions.set(key, Math.max(artifact.version, state.artifactVersions.get(key) ?? 0));
  }
}

function cancelling(state: RunState, event: { reason: 'person' | 'time-limit' | 'superseded'; force: boolean }): void {
  state.cancelling = { reason: event.reason, force: event.force };
  state.paused = false;
  for (const step of [...state.steps.values()]) {
    if (isEnded(step) || step.status === 'running') continue;
    if (!event.force && isPending(step) && runsAlways(step)) continue;
    end(state, step, 'cancelled');
  }
}

function interrupted(state: RunState, step: StepState, at: number): void {
  if (step.status !== 'running' || step.children) return;
  endAttempt(step, at, { reason: 'interrupted', message: 'the process that drove the run went away' });
  leaveRunning(state, step);
  move(state, step, 'pending');
  step.tries = Math.max(0, step.tries - 1);
  // Somebody had let it run already.
  step.released = true;
  makeReady(state, step);
}

function answered(
  state: RunState,
  step: StepState,
  event: { at: number; answer: NonNullable<StepState['answer']> },
): void {
  if (step.status !== 'waiting') return;
  step.answer = event.answer;
  // A fix can be agreed to before any round of healing began.
  if (step.question?.kind === 'approval') sessionOf(step, event.at);
  if (step.healing) {
    step.healing.resumedAt = event.at;
    step.healing.consecutiveFailures = 0;
    step.healing.approved = step.question?.kind === 'approval' && event.answer.option === 'apply';
    if (event.answer.text) step.healing.help.push(event.answer.text);
  }
  state.decidable.push(step);
}

/** Back to the start, for a retry, a resume or a changed input. What depends on it is told by `resetPlan`. */
function reset(state: RunState, step: StepState): void {
  const wasEnded = isEnded(step);
  const wasCompleted = step.status === 'completed';
  leaveRunning(state, step);
  dropChildren(state, step);
  move(state, step, wasCompleted ? 'stale' : 'pending');
  step.execution++;
  step.tries = 0;
  step.openChildren = 0;
  step.outputs = {};
  delete step.failure;
  delete step.skip;
  delete step.question;
  delete step.answer;
  delete step.healing;
  delete step.retryAt;
  if (wasEnded) {
    state.open++;
    for (const dependent of step.dependents) dependent.waitingFor++;
    if (step.parent) step.parent.openChildren++;
  }
  step.waitingFor = step.dependencies.filter((dependency) => !isEnded(dependency)).length;
  if (step.waitingFor === 0) makeReady(state, step);
}

function dropChildren(state: RunState, step: StepState): void {
  for (const child of step.children ?? []) {
    dropChildren(state, child);
    if (!isEnded(child)) state.open--;
    move(state, child, 'cancelled');
    state.steps.delete(child.path);
  }
  delete step.children;
}

function sessionOf(step: StepState, at: number): HealingSession {
  step.healing ??= {
    startedAt: at,
    actions: [],
    attemptsByType: {},
    iterations: 0,
    consecutiveFailures: 0,
    help: [],
    resolved: [],
    approved: false,
    spentBefore: 0,
    resumedAt: at,
  };
  return step.healing;
}

function beginHealing(step: StepState, event: RecordedEvent & { type: 'heal.begun' }): void {
  const session = sessionOf(step, event.at);
  session.iterations++;
  session.attemptsByType[event.errorType] = (session.attemptsByType[event.errorType] ?? 0) + 1;
  // A new error is progress: the fix before it worked.
  const progress = session.lastError !== undefined && session.lastError !== event.message;
  session.consecutiveFailures = progress ? 1 : session.consecutiveFailures + 1;
  session.lastError = event.message;
  session.approved = false;
}

function healed(step: StepState, { action, at }: RecordedEvent & { type: 'heal.acted' }): void {
  const session = sessionOf(step, at);
  session.actions.push(action);
  if (action.port !== undefined) session.port = action.port;
  if (action.outcome !== 'resolved') return;
  session.resolved.push(action.finding.message);
  session.consecutiveFailures = 0;
}
