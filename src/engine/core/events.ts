import type { Plan } from '../../language/workflow/plan.ts';

/**
 * What happened in a run. The journal is a list of these and nothing else is remembered (invariant 3). `step` is a
 * path: `build`, `each[2]` for an instance, `deploy/build` for a step of a sub-workflow.
 */
export type RunEvent =
  | { readonly type: 'run.created'; readonly name: string; readonly options: RunOptions }
  | { readonly type: 'run.started' }
  | { readonly type: 'run.paused' }
  | { readonly type: 'run.unpaused' }
  | { readonly type: 'run.cancelling'; readonly reason: CancelReason; readonly force: boolean }
  | { readonly type: 'run.resumed' }
  | { readonly type: 'run.finished'; readonly status: 'completed' | 'failed' | 'cancelled'; readonly message?: string }
  | { readonly type: 'step.started'; readonly step: string; readonly attempt: number }
  | { readonly type: 'step.released'; readonly step: string }
  | { readonly type: 'step.expanded'; readonly step: string; readonly items: readonly unknown[] }
  | { readonly type: 'step.grafted'; readonly step: string; readonly plan: Plan }
  | {
      readonly type: 'step.completed';
      readonly step: string;
      readonly outputs?: Outputs;
      readonly artifacts?: readonly Artifact[];
      readonly reused?: boolean;
    }
  | {
      readonly type: 'step.reviewing';
      readonly step: string;
      readonly outputs?: Outputs;
      readonly artifacts?: readonly Artifact[];
    }
  | { readonly type: 'step.continued'; readonly step: string }
  | { readonly type: 'step.attempt_failed'; readonly step: string; readonly failure: StepFailure }
  | { readonly type: 'step.failed'; readonly step: string; readonly failure: StepFailure; readonly retryAt?: number }
  | {
      readonly type: 'step.skipped';
      readonly step: string;
      readonly because: SkipReason;
      readonly blockedBy?: readonly string[];
    }
  | { readonly type: 'step.cancelled'; readonly step: string }
  | { readonly type: 'step.interrupted'; readonly step: string }
  | {
      readonly type: 'step.waiting';
      readonly step: string;
      readonly on: 'human' | 'agent' | 'io';
      readonly question?: Question;
    }
  | { readonly type: 'step.answered'; readonly step: string; readonly answer: Answer }
  | { readonly type: 'step.reset'; readonly step: string }
  /** An older version of a product is the one that counts again. */
  | { readonly type: 'artifact.rolled_back'; readonly step: string; readonly artifact: Artifact }
  /** A service went away, with its host or by itself; it is launched again before anything else starts. */
  | { readonly type: 'service.lost'; readonly step: string }
  | { readonly type: 'service.crashed'; readonly step: string; readonly failure: StepFailure }
  | { readonly type: 'heal.begun'; readonly step: string; readonly errorType: ErrorType; readonly message: string }
  | { readonly type: 'heal.acted'; readonly step: string; readonly action: HealAction };

export type RecordedEvent = RunEvent & {
  /** Milliseconds since 1970. */
  readonly at: number;
};

export type Outputs = Readonly<Record<string, unknown>>;
export type CancelReason = 'person' | 'time-limit' | 'superseded';
export type SkipReason = 'blocked' | 'condition' | 'person' | 'no-items';

export interface RunOptions {
  /** Each step waits until somebody lets it go on. */
  readonly stepByStep: boolean;
  /** Files that differed from the last commit when the run was created; only of runs that commit. */
  readonly baseline?: readonly string[];
}

export interface Artifact {
  readonly name: string;
  /** Where it was produced, relative to the workspace. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly version: number;
}

export const ERROR_TYPES = [
  'BuildError',
  'DependencyError',
  'TestFailure',
  'RuntimeError',
  'ConfigError',
  'PortInUse',
  'Unknown',
] as const;
export type ErrorType = (typeof ERROR_TYPES)[number];

/** Why a step failed, in words a person can act on. */
export interface StepFailure {
  /** A named reason: `exit-code`, `timeout`, `missing-product`, `not-ready`, … */
  readonly reason: string;
  readonly message: string;
  readonly type?: ErrorType;
  readonly exitCode?: number;
  readonly findings?: readonly Finding[];
}

/** One error read out of a tool's output. */
export interface Finding {
  readonly type: ErrorType;
  readonly message: string;
  readonly tool?: string;
  readonly file?: string;
  readonly line?: number;
  readonly excerpt?: string;
  /** What playbooks need: the package, the port, the file. */
  readonly subject?: Readonly<Record<string, string>>;
}

export interface Question {
  readonly kind: 'ask' | 'escalation' | 'prompt' | 'approval' | 'task';
  readonly text: string;
  readonly options: readonly string[];
  readonly fields?: Readonly<Record<string, unknown>>;
  /** When it is answered by itself: milliseconds since 1970, and how. */
  readonly deadline?: number;
  readonly onTimeout?: string;
}

export interface Answer {
  readonly option?: string;
  readonly text?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly by: 'person' | 'timeout';
}

/** One round of healing, as the session record keeps it. */
export interface HealAction {
  readonly errorType: ErrorType;
  readonly specialist: string;
  readonly finding: Finding;
  readonly playbook?: string;
  /** What was done, or why nothing could be. */
  readonly description: string;
  readonly changed: readonly string[];
  readonly outcome: 'applied' | 'failed' | 'escalated' | 'resolved';
  /** A port that the step uses from now on. */
  readonly port?: number;
}
