import type { PlanStep } from '../../language/workflow/plan.ts';
import type { ErrorType, Finding } from '../core/events.ts';

/** What a playbook may use. Commands run as jobs of the step, in its log folder and process group. */
export interface PlaybookContext {
  readonly workspace: string;
  readonly cwd: string;
  readonly step: PlanStep;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a program and gives its exit code and the end of its output. */
  exec(file: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }>;
  readonly ports: PortTools;
}

export interface PortTools {
  /** Who listens on a port of this machine, and whether one of our runs that is no longer driven started it. */
  listener(port: number): { readonly pid: number; readonly ours: boolean } | undefined;
  /** Ends an orphan of ours and waits until its port is free. */
  endOrphan(pid: number, port: number): Promise<boolean>;
  freePort(): Promise<number>;
}

export type PlaybookOutcome =
  | {
      readonly kind: 'applied';
      readonly description: string;
      readonly changed: readonly string[];
      readonly port?: number;
    }
  | { readonly kind: 'failed'; readonly description: string };

/** A fix known without a model. */
export interface Playbook {
  readonly name: string;
  readonly type: ErrorType;
  /** What it would do about the finding, in a sentence; undefined when it can do nothing. Changes nothing. */
  propose(finding: Finding, context: PlaybookContext): Promise<string | undefined>;
  apply(finding: Finding, context: PlaybookContext): Promise<PlaybookOutcome>;
}
