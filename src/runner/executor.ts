import { availableParallelism } from 'node:os';
import type { FromRunner, Job, JobEnd, RunningJob } from '../protocol/runner.ts';
import { recordProcesses } from '../system/process-record.ts';
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
  /** Jobs at the same time, services left out. */
  readonly slots: number;
  /** Where processes that live for a moment are recorded. */
  readonly record: string;
  readonly send: (message: FromRunner) => void;
}

const MOST_SHELLS = 64;

/** Shells beyond this many are started only when jobs wait: short jobs are faster on few shells than on many. */
const QUICK_SHELLS = Math.max(2, availableParallelism());

/** Milliseconds that a job waits for a shell to come back before another is started. */
const PATIENCE = 4;

type ShellJob = Job & { command: { kind: 'shell' } };

/**
 * The pool: warm shells started ahead, claimed by a job and released after it, replaced when they die, more of them under
 * load and fewer when idle; and fresh processes for what does not fit a warm shell.
 */
export class Executor {
  private readonly options: ExecutorOptions;
  private readonly idle = new Map<string, WarmShell[]>();
  private readonly shells = new Set<WarmShell>();
  private readonly running = new Map<string, Running>();
  /** Jobs that have begun and wait a moment for a warm shell. */
  private readonly queue: { id: string; job: ShellJob }[] = [];
  /** Jobs beyond the slots, and how many have begun. */
  private readonly line: { id: string; job: Job }[] = [];
  private active = 0;
  private growTimer: NodeJS.Timeout | undefined;
  /** Groups that are in the record already. */
  private readonly recorded = new Set<number>();
  private recordTimer: NodeJS.Timeout | undefined;
  private sweepTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: ExecutorOptions) {
    this.options = options;
    if (process.platform !== 'win32') for (let i = 0; i < options.warm; i++) this.release('sh', this.newShell('sh'));
  }

  jobs(): RunningJob[] {
    return [...this.running.values()].map(({ id, job: { note } }) => (note === undefined ? { id } : { id, note }));
  }

  /** Jobs that stand in line. */
  get waiting(): number {
    return this.line.length;
  }

  start(id: string, job: Job): void {
    if (this.running.has(id)) return;
    if (!job.service && this.active >= this.options.slots) {
      this.register(id, job, { pid: undefined, kill: () => this.dropFromLine(id) }, false);
      this.line.push({ id, job });
      return;
    }
    this.begin(id, job);
  }

  private begin(id: string, job: Job): void {
    if (!job.service) this.active++;
    this.orTellWhyNot(id, () => {
      if (job.command.kind === 'shell' && this.isWarm(job)) this.startWarm(id, job as ShellJob);
      else this.startFresh(id, job);
    });
  }

  /** A job that cannot be started (no room for its log, no more processes) is the end of that job, not of the runner. */
  private orTellWhyNot(id: string, start: () => void): void {
    try {
      start();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.end(id, { code: 127, because: 'not-started', message });
    }
  }

  /** A job that waits in line has not begun, so it only has to be forgotten. */
  private dropFromLine(id: string): void {
    if (take(this.line, id)) this.tellEnd(id, this.endUnbegun(id));
  }

  private endUnbegun(id: string): JobEnd {
    return { code: 143, because: this.running.get(id)!.because };
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
    clearTimeout(this.growTimer);
    clearTimeout(this.recordTimer);
    this.queue.length = 0;
    this.line.length = 0;
    for (const entry of this.running.values()) entry.kill('SIGKILL');
    for (const shell of this.shells) shell.kill('SIGKILL');
  }

  private isWarm(job: Job): boolean {
    if (process.platform === 'win32' || job.service || job.secrets?.length) return false;
    const { command } = job;
    return (
      command.kind === 'shell' && (command.shell === 'sh' || command.shell === 'bash') && fitsWarmShell(command.script)
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
  }

  private startWarm(id: string, job: ShellJob): void {
    const shell = this.claim(job.command.shell);
    if (shell) return this.runWarm(id, job, shell);
    // It counts as running, so that it can be stopped; nothing of it has been started yet.
    this.register(id, job, { pid: undefined, kill: () => this.dropQueued(id) }, false);
    this.queue.push({ id, job });
    this.growTimer ??= setTimeout(() => this.grow(), PATIENCE);
  }

  private runWarm(id: string, job: ShellJob, shell: WarmShell): void {
    const { shell: name } = job.command;
    const entry = this.register(id, job, { pid: shell.pid, kill: (signal) => shell.kill(signal) });
    shell.run(job, this.options.cwd, (code) => {
      // A shell whose group was told to end is not used again: nothing of the job may outlive it.
      if (entry.because !== 'exit') shell.kill('SIGKILL');
      else if (shell.alive) this.reuse(name, shell);
      this.end(id, { code, because: entry.because });
    });
  }

  /** A shell that came back takes the next job that waits for one of its kind. */
  private reuse(name: string, shell: WarmShell): void {
    const at = this.queue.findIndex(({ job }) => job.command.shell === name);
    if (at === -1) return this.release(name, shell);
    const [next] = this.queue.splice(at, 1);
    this.runWarm(next!.id, next!.job, shell);
  }

  private dropQueued(id: string): void {
    if (take(this.queue, id)) this.end(id, this.endUnbegun(id));
  }

  /** Jobs have waited: they are long ones, so each gets a shell. */
  private grow(): void {
    this.growTimer = undefined;
    const waited = this.queue.splice(0, Math.max(1, Math.min(8, MOST_SHELLS - this.shells.size)));
    for (const { id, job } of waited) {
      this.orTellWhyNot(id, () => {
        if (this.shells.size < MOST_SHELLS) this.runWarm(id, job, this.newShell(job.command.shell));
        else this.startFresh(id, job);
      });
    }
    if (this.queue.length > 0) this.growTimer = setTimeout(() => this.grow(), PATIENCE);
  }

  private register(id: string, job: Job, handle: Pick<Running, 'pid' | 'kill'>, timed = true): Running {
    const entry: Running = { id, job, ...handle, because: 'exit', timers: [] };
    if (timed && job.timeout !== undefined) this.armTimeout(entry, Date.now() + job.timeout);
    this.running.set(id, entry);
    this.recordTimer ??= setTimeout(() => this.writeRecord(), 50);
    return entry;
  }

  /** Jobs that still run are long enough to be worth a line; short ones cost nothing. */
  private writeRecord(): void {
    this.recordTimer = undefined;
    const pids = [...this.running.values()].flatMap(({ pid }) =>
      pid === undefined || this.recorded.has(pid) ? [] : [pid],
    );
    for (const pid of pids) this.recorded.add(pid);
    if (pids.length > 0 && this.options.record !== '') recordProcesses(this.options.record, pids);
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
    if (!this.running.get(id)?.job.service) this.active--;
    this.tellEnd(id, end);
    const next = this.line.shift();
    if (next) this.begin(next.id, next.job);
  }

  private tellEnd(id: string, end: JobEnd): void {
    const entry = this.running.get(id);
    for (const timer of entry?.timers ?? []) clearTimeout(timer);
    this.running.delete(id);
    const note = entry?.job.note;
    this.options.send({ type: 'ended', id, end: note === undefined ? end : { ...end, note } });
  }

  /** An idle shell, a new one while there are few, or none: then the job waits a moment for one to come back. */
  private claim(name: string): WarmShell | undefined {
    const shell = this.idle.get(name)?.pop();
    if (shell?.alive) return shell;
    return this.shells.size < QUICK_SHELLS ? this.newShell(name) : undefined;
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

/** Takes a job out of a list; undefined when it is not there. */
function take<Waiting extends { readonly id: string }>(list: Waiting[], id: string): Waiting | undefined {
  const at = list.findIndex((waiting) => waiting.id === id);
  return at === -1 ? undefined : list.splice(at, 1)[0];
}
