import type { JsonObject } from '../../base/json.ts';
import type { StationSignature } from '../../language/signature.ts';
import type { PlanStep } from '../../language/workflow/plan.ts';
import type { Job, JobEnd } from '../../protocol/runner.ts';
import type { Outputs, StepFailure } from '../core/events.ts';

/** What a station is given to execute one attempt of a step. Everything it may touch comes through here. */
export interface StationContext {
  readonly runId: string;
  /** The step's path. */
  readonly path: string;
  readonly step: PlanStep;
  readonly attempt: number;
  /** Inputs, with every expression resolved. */
  readonly with: JsonObject;
  /** Absolute. */
  readonly workspace: string;
  /** Absolute; the step's `cwd`. */
  readonly cwd: string;
  /** The step's environment, with values for talking back. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of this attempt's log. */
  readonly log: string;
  /** A folder for notes that survive a crash, the same for every attempt of one execution. Absolute; made when asked for. */
  scratch(): string;
  /** Aborted when the step is to end. Jobs are ended by then; a station only has to stop waiting. */
  readonly signal: AbortSignal;
  /** The port of a service: the one in the workflow, a free one, or the one that healing chose. */
  readonly port?: number;
  /** Milliseconds that a job gets between TERM and KILL. */
  readonly grace: number;
  /** Whether the attempt was begun by a predecessor of this host, which is gone: its jobs may still run. */
  readonly joins: boolean;
  /** Products of this run's steps and files that healing changed, relative to the workspace. */
  producedFiles(): readonly string[];
  /** Files that differed from the last commit already when the run began: the person's work. */
  readonly baseline: readonly string[];
  /** Runs a job in the step's folder and environment. `part` tells several jobs of one attempt apart. */
  run(command: Job['command'], options?: JobOptions): Promise<JobEnd>;
  /** Resolves the expressions of a text with more names in scope. @throws Error with one sentence */
  resolve(value: unknown, extra: Record<string, unknown>): unknown;
  /** Keeps a job running after the step completed, as a service that ends with the run. */
  keepService(jobId: string, port: number | undefined): void;
  /** Masks what must not be shown or stored. */
  mask(text: string): string;
}

export interface JobOptions {
  readonly part?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly service?: boolean;
  readonly timeout?: number;
}

export type StationResult =
  | { readonly kind: 'completed'; readonly outputs?: Outputs }
  | { readonly kind: 'failed'; readonly failure: StepFailure }
  | { readonly kind: 'cancelled' };

/** The implementation that executes a step. */
export interface Station {
  readonly signature: StationSignature;
  /** Whether `heal: true` means something for it. */
  readonly heals?: boolean;
  execute(context: StationContext): Promise<StationResult>;
}

export function failed(reason: string, message: string, exitCode?: number): StationResult {
  return { kind: 'failed', failure: { reason, message, ...(exitCode === undefined ? {} : { exitCode }) } };
}

/** What the end of a job means for a step. */
export function resultOfJob(end: JobEnd, what: string, timeout: number | undefined): StationResult {
  switch (end.because) {
    case 'exit':
      return end.code === 0
        ? { kind: 'completed' }
        : failed('exit-code', `${what} ended with exit code ${end.code}${signalName(end.code)}`, end.code);
    case 'timeout':
      return failed('timeout', `${what} took longer than ${timeout ?? 0} ms and was ended`, end.code);
    case 'stopped':
      return { kind: 'cancelled' };
    case 'not-started':
      return failed('not-started', `${what} could not be started: ${end.message ?? 'no reason was given'}`);
    case 'runner-lost':
      return failed('runner-lost', `the runner died while ${what} ran; its processes were ended`);
  }
}

function signalName(code: number): string {
  const names: Readonly<Record<number, string>> = { 130: 'INT', 134: 'ABRT', 137: 'KILL', 139: 'SEGV', 143: 'TERM' };
  return names[code] ? ` (signal ${names[code]})` : '';
}
