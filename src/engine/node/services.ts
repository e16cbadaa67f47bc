import type { Job } from '../../protocol/runner.ts';
import type { StepState } from '../core/state.ts';
import { accepts } from '../stations/launch.ts';
import type { RunDriver } from './driver.ts';

interface Service {
  readonly jobId: string;
  readonly port: number | undefined;
}

/** The services of a run: launched by steps, kept until the run ends, and then ended for certain. */
export class Services {
  private readonly driver: RunDriver;
  private readonly byStep = new Map<string, Service>();
  private stopping = false;

  constructor(driver: RunDriver) {
    this.driver = driver;
  }

  get any(): boolean {
    return this.byStep.size > 0;
  }

  /** Keeps a job as the service of a step; tells the run when it ends by itself. */
  keep(step: string, jobId: string, port: number | undefined): void {
    this.byStep.set(step, { jobId, port });
    void this.endOf(jobId).then(({ code }) => {
      if (this.stopping || this.byStep.get(step)?.jobId !== jobId) return;
      this.byStep.delete(step);
      this.crashed(step, code);
    });
  }

  /** Launched again while the step's `retry` allows it; after that it is a crash loop, and a failure. */
  private crashed(path: string, exitCode: number): void {
    const step = this.driver.state.steps.get(path)!;
    const times = step.attempts.length;
    if (times < (step.step.retry?.maxAttempts ?? 1)) return void this.driver.emit({ type: 'service.lost', step: path });
    const failure =
      times === 1
        ? {
            reason: 'service-crashed',
            message: `the service ended by itself with exit code ${exitCode} after it was ready`,
            exitCode,
          }
        : {
            reason: 'crash-loop',
            message: `the service was launched ${times} times and ended by itself each time, at last with exit code ${exitCode}`,
            exitCode,
          };
    void this.driver.emit({ type: 'service.crashed', step: path, failure });
  }

  /** A service that a predecessor of this host started and that still runs. */
  join(step: StepState): void {
    const port = step.outputs['port'];
    this.keep(step.path, `${step.path}#${step.attempts.length}`, typeof port === 'number' ? port : undefined);
  }

  /** Ends all services and waits until their ports are free again. */
  async stop(): Promise<void> {
    this.stopping = true;
    const ends = [...this.byStep.values()].map(async ({ jobId, port }) => {
      this.driver.parts.runner.stop(jobId, false);
      await this.endOf(jobId);
      for (let i = 0; port !== undefined && i < 40 && (await accepts(port)); i++) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    });
    await Promise.all(ends);
    this.byStep.clear();
  }

  /** The job has been started; asking for it again only waits for its end. */
  private endOf(jobId: string) {
    return this.driver.parts.runner.run(jobId, {} as Job);
  }
}
