import type { Job, JobEnd } from '../../protocol/runner.ts';

/** Executes jobs outside the host. Implemented by a local runner now, by remote ones later. */
export interface RunnerPort {
  /** Starts a job, or joins one of the same id that a predecessor of this host started. */
  run(id: string, job: Job): Promise<JobEnd>;
  stop(id: string, force: boolean): void;
  /** Whether the job was started by a predecessor of this host and is still running, or ended unnoticed. */
  isAdopted(id: string): boolean;
}
