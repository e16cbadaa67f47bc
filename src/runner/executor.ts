import type { FromRunner, Job, JobEnd } from '../protocol/runner.ts';
import { fitsWarmShell } from './eligible.ts';
import { type FreshProcess, startFresh } from './fresh.ts';
import { membersOf } from './processes.ts';
import { WarmShell } from './warm-shell.ts';

interface Running {
  readonly id: string;
  readonly job: Job;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  readonly pid: number | undefined;
  because: JobEnd['because'];
  timers: NodeJS.Timeout[];
}

interface ExecutorOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Warm shells kept when idle. */
  readonly warm: number;
  readonly send: (message: FromRunner) => void;
}

const MOST_SHELLS = 64;

/**
 * The pool: warm shells started ahead, claimed by a job and released after it, replaced when they die, more of them under
 * load and fewer when idle; and fresh processes for what does not fit a warm shell.
 */
export class Executor {
  private readonly options: ExecutorOptions;
  private readonly idle = new Map<string, WarmShell[]>();
  private readonly shells = new Set<WarmShell>();
  private readonly running = new Map<string, Running>();
  private sweepTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: ExecutorOptions) {
    this.options = options;
    if (process.platform !== 'win32') for (let i = 0; i < options.warm; i++) this.release('sh', this.newShell('sh'));
  }

  jobs(): { id: string; pid?: number }[] {
    return [...this.running.values()].map(({ id, pid }) => (pid === undefined ? { id } : { id, pid }));
  }

  start(id: string, job: Job): void {
    if (this.running.has(id)) return;
    try {
      if (job.command.kind === 'shell' && this.isWarm(job))
        this.startWarm(id, job as Job & { command: { kind: 'shell' } });
      else this.startFresh(id, job);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.options.send({ type: 'ended', id, end: { code: 127, because: 'not-started', message } });
    }
  }

  /** TERM, and KILL when that is not enough; KILL at once when forced. */
  stop(id: string, force: boolean, because: JobEnd['because'] = 'stopped'): void {
    const entry = this.running.get(id);
    if (!entry) return;
    if (entry.because === 'exit') entry.because = because;
    entry.kill(force ? 'SIGKILL' : 'SIGTERM');
    if (!force) entry.timers.push(setTimeout(() => entry.kill('SIGKILL'), entry.job.grace));
  }

  /** Ends everything: all jobs, all shells, all that they left behind. */
  close(): void {
    this.closed = true;
    clearTimeout(this.sweepTimer);
    for (const entry of this.running.values()) entry.kill('SIGKILL');
    for (const shell of this.shells) shell.kill('SIGKILL');
  }

  private isWarm(job: Job): boolean {
    if (process.platform === 'win32' || job.service || job.secrets?.length) return false;
    const { command } = job;
    return (
      command.kind === 'shell' &&
      (command.shell === 'sh' || command.shell === 'bash') &&
      fitsWarmShell(command.script) &&
      this.shells.size < MOST_SHELLS
    );
  }

  private startFresh(id: string, job: Job): void {
    let started: FreshProcess | undefined;
    started = startFresh(job, this.options.env, ({ code, error }) => {
      const entry = this.running.get(id);
      const because = error === undefined ? (entry?.because ?? 'exit') : 'not-started';
      this.end(id, error === undefined ? { code, because } : { code, because, message: error });
    });
    this.register(id, job, { pid: started.pid, kill: (signal) => started.kill(signal) });
    if (started.pid !== undefined && job.service) this.options.send({ type: 'started', id, pid: started.pid });
  }

  private startWarm(id: string, job: Job & { command: { kind: 'shell' } }): void {
    const { shell: name } = job.command;
    const shell = this.claim(name);
    const entry = this.register(id, job, { pid: shell.pid, kill: (signal) => shell.kill(signal) });
    shell.run(job, this.options.cwd, (code) => {
      // A shell whose group was told to end is not used again: nothing of the job may outlive it.
      if (entry.because !== 'exit') shell.kill('SIGKILL');
      else if (shell.alive) this.release(name, shell);
      this.end(id, { code, because: entry.because });
    });
  }

  private register(id: string, job: Job, handle: Pick<Running, 'pid' | 'kill'>): Running {
    const entry: Running = { id, job, ...handle, because: 'exit', timers: [] };
    if (job.timeout !== undefined) this.armTimeout(entry, Date.now() + job.timeout);
    this.running.set(id, entry);
    return entry;
  }

  /** Timers hold 2^31 ms; longer waits are armed again. */
  private armTimeout(entry: Running, deadline: number): void {
    const left = Math.max(0, deadline - Date.now());
    const step = Math.min(left, 2 ** 31 - 1);
    entry.timers[0] = setTimeout(
      () => (left > step ? this.armTimeout(entry, deadline) : this.stop(entry.id, false, 'timeout')),
      step,
    );
  }

  private end(id: string, end: JobEnd): void {
    const entry = this.running.get(id);
    for (const timer of entry?.timers ?? []) clearTimeout(timer);
    this.running.delete(id);
    this.options.send({ type: 'ended', id, end });
  }

  private claim(name: string): WarmShell {
    const shell = this.idle.get(name)?.pop();
    return shell?.alive ? shell : this.newShell(name);
  }

  private release(name: string, shell: WarmShell): void {
    const list = this.idle.get(name);
    if (list) list.push(shell);
    else this.idle.set(name, [shell]);
    this.sweepTimer ??= setTimeout(() => this.sweep(), 50);
  }

  private newShell(name: string): WarmShell {
    const shell = new WarmShell(name, this.options.cwd, this.options.env, (dead) => {
      this.shells.delete(dead);
      for (const list of this.idle.values()) {
        const at = list.indexOf(dead);
        if (at !== -1) list.splice(at, 1);
      }
    });
    this.shells.add(shell);
    return shell;
  }

  /** Ends what jobs left behind in the groups of idle shells, and shells that are no longer needed. */
  private sweep(): void {
    this.sweepTimer = undefined;
    if (this.closed) return;
    const idle = [...this.idle.values()].flat();
    const left = membersOf(new Set(idle.map((shell) => shell.pid)));
    for (const [name, list] of this.idle) {
      for (const shell of [...list]) {
        const dirty = left.has(shell.pid);
        const surplus = list.length > this.options.warm && this.running.size === 0;
        if (!dirty && !surplus) continue;
        list.splice(list.indexOf(shell), 1);
        shell.kill('SIGKILL');
        if (dirty && !surplus) this.release(name, this.newShell(name));
      }
    }
  }
}
