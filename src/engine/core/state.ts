import type { Heap } from '../../base/heap.ts';
import { parseExpression } from '../../language/expression/cel.ts';
import type { Plan, PlanStep } from '../../language/workflow/plan.ts';
import type {
  Answer,
  Artifact,
  CancelReason,
  HealAction,
  Outputs,
  Question,
  RunOptions,
  SkipReason,
  StepFailure,
} from './events.ts';

/*
 * pending → running → completed | failed | skipped | cancelled
 *           running ⇄ waiting                 completed → stale → running
 *           running → awaiting_review → completed
 * completed, failed, skipped, cancelled → pending | stale (reset)
 */
export type StepStatus =
  | 'pending'
  | 'running'
  | 'waiting'
  | 'awaiting_review'
  | 'completed'
  | 'failed'
  | 'skipped'
  | 'cancelled'
  | 'stale';
export type RunStatus = 'queued' | 'running' | 'waiting' | 'paused' | 'completed' | 'failed' | 'cancelled';

/** A workflow inside a run: the run's own, or one grafted by a step. */
export interface Scope {
  /** Empty for the run's own workflow, else the path of the step that grafted it. */
  readonly path: string;
  readonly plan: Plan;
}

export interface Attempt {
  readonly number: number;
  readonly startedAt: number;
  endedAt?: number;
  failure?: StepFailure;
}

export interface HealingSession {
  readonly startedAt: number;
  readonly actions: HealAction[];
  readonly attemptsByType: Record<string, number>;
  iterations: number;
  consecutiveFailures: number;
  /** What a person wrote when asked for help. */
  readonly help: string[];
  readonly resolved: string[];
  /** The error the last round was about. */
  lastError?: string;
  /** A port that took the place of a taken one. */
  port?: number;
  /** A person agreed to the fix that was proposed. */
  approved: boolean;
  /** Time spent healing before the last answer of a person; waiting for people is not healing. */
  spentBefore: number;
  resumedAt: number;
}

export interface StepState {
  readonly path: string;
  readonly scope: Scope;
  readonly step: PlanStep;
  readonly order: number;
  readonly parent?: StepState;
  /** Set on an instance of `for_each`. */
  readonly item?: unknown;
  readonly isInstance: boolean;
  readonly dependencies: StepState[];
  readonly dependents: StepState[];
  status: StepStatus;
  waitingFor: number;
  attempts: Attempt[];
  /** Grows when a person retries: with the path it is the idempotency key of an execution. */
  execution: number;
  outputs: Outputs;
  artifacts: readonly Artifact[];
  failure?: StepFailure;
  skip?: { because: SkipReason; blockedBy: readonly string[] };
  question?: Question;
  answer?: Answer;
  healing?: HealingSession;
  children?: StepState[];
  openChildren: number;
  released: boolean;
  retryAt?: number;
  /** Policy attempts since the last reset; healing attempts do not count as these. */
  tries: number;
}

export interface Due {
  readonly step: StepState;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** The fold of a run's journal. Changed by `evolve` alone. */
export interface RunState {
  readonly plan: Plan;
  readonly steps: Map<string, StepState>;
  options: RunOptions;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  finished?: { status: 'completed' | 'failed' | 'cancelled'; message?: string };
  paused: boolean;
  cancelling?: { reason: CancelReason; force: boolean };
  /** Steps that hold one of `limits.parallel`. */
  running: number;
  /** Steps that have not ended. */
  open: number;
  /** Steps that wait for somebody, and those of them that ask something. */
  waiting: number;
  questions: number;
  /** Ready steps that need a free slot, best first. */
  readonly ready: Heap<StepState>;
  /** Steps that can be decided at once: questions, groups, answers, what is blocked. */
  readonly decidable: Heap<StepState>;
  /** Retries, and questions that answer themselves, by the time they are due. */
  readonly retries: Heap<Due>;
  readonly deadlines: Heap<Due>;
  /** Ready steps that wait for a lock, by lock; and who holds it. */
  readonly lockWaiters: Map<string, StepState[]>;
  readonly lockHolders: Map<string, StepState>;
  /** Services that are launched again after their host died: until they are ready, nothing else starts. */
  readonly relaunching: Set<StepState>;
  readonly artifactVersions: Map<string, number>;
  nextOrder: number;
}

export const ENDED: ReadonlySet<StepStatus> = new Set(['completed', 'failed', 'skipped', 'cancelled']);

export function isEnded(step: StepState): boolean {
  return ENDED.has(step.status);
}

/** Whether a dependent may take this step as done. */
export function counts(step: StepState): boolean {
  if (step.status === 'completed') return true;
  if (step.status === 'failed') return step.step.allowFailure;
  return step.status === 'skipped' && (step.skip?.because === 'person' || step.skip?.because === 'no-items');
}

/** Whether a step is a group: its work is done by its children. */
export function isGroup(step: StepState): boolean {
  return (
    (step.step.forEach !== undefined && !step.isInstance) ||
    step.step.action === 'workflow' ||
    step.step.action === 'define'
  );
}

/** Whether a running step takes one of `limits.parallel`. */
export function needsSlot(step: StepState): boolean {
  if (isGroup(step)) return false;
  return step.step.action !== 'ask' && step.step.assignedTo !== 'human';
}

/** Whether a step asked to run whatever happened before it, also when the run is cancelled. */
export function runsAlways(step: StepState): boolean {
  return step.step.when !== undefined && parseExpression(step.step.when).calls.includes('always');
}

export function byPriority(a: StepState, b: StepState): number {
  return b.step.priority - a.step.priority || a.order - b.order;
}

export function runStatus(state: RunState): RunStatus {
  if (state.finished) return state.finished.status;
  if (state.startedAt === undefined) return 'queued';
  if (state.paused) return 'paused';
  if (state.running > 0 || state.cancelling) return 'running';
  if (state.waiting > 0 && state.retries.size === 0) return 'waiting';
  return state.options.stepByStep && state.open > 0 && state.retries.size === 0 ? 'waiting' : 'running';
}

export function parallelLimit(state: RunState, fallback: number): number {
  return state.plan.limits.parallel ?? fallback;
}
