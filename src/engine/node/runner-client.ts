import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Deferred } from '../../base/deferred.ts';
import { type FromRunner, type Job, type JobEnd, MessageReader, type ToRunner } from '../../protocol/runner.ts';
import { isAlive, startTimeOf } from '../../system/process-identity.ts';
import { endRecorded } from '../../system/process-record.ts';
import type { RunnerPort } from '../core/ports.ts';
import { endProcessesOfRun } from './orphans.ts';
import { type RunnerProcess, spawnRunner } from './runner-process.ts';
import type { RunnerRow, Store } from './store.ts';

export interface RunnerOptions {
  readonly run: string;
  readonly store: Store;
  readonly workspace: string;
  /** Names of declared secrets: kept out of the environment of everything that runs. */
  readonly secrets: readonly string[];
  /** A folder of the run that outlives this process. */
  readonly folder: string;
  /** Warm shells started ahead. */
  readonly warm: number;
  /** Jobs at the same time. */
  readonly slots: number;
  /** Milliseconds that jobs go on when this process goes away without a word. */
  readonly orphanGrace: number;
}

const MOST_RESTARTS = 3;

/**
 * The host's end of a runner: starts it ahead of the first job, adopts the one that a dead host left behind, replaces one
 * that dies.
 */
export class RunnerClient implements RunnerPort {
  private readonly options: RunnerOptions;
  private child: ChildProcess | undefined;
  private socket: Socket | undefined;
  private row: RunnerRow | undefined;
  private closed = false;
  private restarts = 0;
  private readonly waiting = new Map<string, Deferred<JobEnd>>();
  private readonly ends = new Map<string, JobEnd>();
  /** Jobs that a predecessor of this host started, and what it noted with them. */
  private readonly adopted = new Map<string, string>();
  private outbox = '';
  private readonly acknowledged: string[] = [];
  private acknowledgeTimer: NodeJS.Timeout | undefined;

  private constructor(options: RunnerOptions) {
    this.options = options;
  }

  /** A runner for a run that starts afresh. */
  static start(options: RunnerOptions, prepared?: RunnerProcess): RunnerClient {
    const client = new RunnerClient(options);
    client.spawn(prepared);
    return client;
  }

  /** Adopts what a predecessor left running, or ends it when it cannot be adopted; then there is a runner again. */
  static async adopt(options: RunnerOptions): Promise<RunnerClient> {
    const client = new RunnerClient(options);
    for (const row of options.store.runners().filter((candidate) => candidate.run === options.run)) {
      const identity = `${row.pid}@${row.startTime}`;
      if (isAlive(identity) && (await client.connect(row))) return client;
      options.store.removeRunner(row.socket);
    }
    endRecorded(join(options.folder, 'processes'));
    await endProcessesOfRun(options.run);
    client.readResults();
    client.spawn();
    return client;
  }

  run(id: string, job: Job): Promise<JobEnd> {
    const known = this.ends.get(id);
    if (known) return Promise.resolve(known);
    let deferred = this.waiting.get(id);
    if (!deferred) {
      deferred = new Deferred<JobEnd>();
      this.waiting.set(id, deferred);
      if (!this.adopted.has(id)) this.send({ type: 'start', id, job });
    }
    return deferred.promise;
  }

  stop(id: string, force: boolean): void {
    this.send({ type: 'stop', id, force });
  }

  isAdopted(id: string): boolean {
    return this.adopted.has(id);
  }

  /** Whether a predecessor started any job of an attempt. */
  adoptedOf(attempt: string): boolean {
    return this.notesOf(attempt).length > 0;
  }

  /** What the predecessor noted with the jobs of an attempt. */
  noteOf(attempt: string): string | undefined {
    return this.notesOf(attempt).find((note) => note !== '');
  }

  private notesOf(attempt: string): string[] {
    return [...this.adopted].flatMap(([id, note]) => (id === attempt || id.startsWith(`${attempt}:`) ? [note] : []));
  }

  /** Tells the runner that the ends of these jobs are in the journal. */
  acknowledge(ids: readonly string[]): void {
    for (const id of ids) {
      this.ends.delete(id);
      this.adopted.delete(id);
    }
    // Nobody waits for this: it goes with the next message that somebody does wait for.
    this.acknowledged.push(...ids);
    this.acknowledgeTimer ??= setTimeout(() => this.post(), 200);
  }

  /** Ends everything the run still has and the runner itself; returns when all of it is gone. */
  async close(): Promise<void> {
    this.closed = true;
    this.send({ type: 'shutdown' });
    this.post();
    await this.gone(5_000);
    this.child?.stdin?.destroy();
    this.child?.stdout?.destroy();
    this.socket?.destroy();
    if (this.row) {
      rmSync(this.row.socket, { force: true });
      this.forget(this.row);
    }
  }

  /** A record that cannot be removed now, for want of room, is found to be dead and removed by whoever comes next. */
  private forget(row: RunnerRow): void {
    try {
      this.options.store.removeRunner(row.socket);
    } catch {
      // See above.
    }
  }

  /** Waits until the runner's process has ended, but not for ever. */
  private async gone(limit: number): Promise<void> {
    const { child, row } = this;
    if (child) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limit);
        child.once('exit', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      return;
    }
    // An adopted runner is no child of ours.
    const deadline = performance.now() + limit;
    while (row && startTimeOf(row.pid) === row.startTime && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  private spawn(prepared?: RunnerProcess): void {
    const { run, store } = this.options;
    const { child, socket, token } = prepared?.run === run ? prepared : spawnRunner(run, this.options.secrets);
    this.child = child;
    child.stdout!.setEncoding('utf8');
    const reader = new MessageReader<FromRunner>((message) => this.receive(message));
    child.stdout!.on('data', (chunk: string) => reader.read(chunk));
    child.on('error', () => this.lost());
    child.on('exit', () => this.lost());
    this.configure();
    this.row = { socket, run, pid: child.pid ?? -1, startTime: startTimeOf(child.pid ?? -1) ?? '', token };
    store.addRunner(this.row);
  }

  private connect(row: RunnerRow): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(row.socket);
      const timer = setTimeout(() => socket.destroy(), 3_000);
      socket.setEncoding('utf8');
      const reader = new MessageReader<FromRunner>((message) => {
        if (message.type === 'welcome') {
          clearTimeout(timer);
          this.socket = socket;
          this.row = row;
          for (const { id, note } of message.running) this.adopted.set(id, note ?? '');
          this.configure();
          // The ends of jobs that nobody heard of follow at once.
          setTimeout(() => resolve(true), 20);
        } else {
          if (message.type === 'ended') this.adopted.set(message.id, message.end.note ?? '');
          this.receive(message);
        }
      });
      socket.on('connect', () =>
        socket.write(`${JSON.stringify({ type: 'hello', token: row.token } satisfies ToRunner)}\n`),
      );
      socket.on('data', (chunk: string) => reader.read(chunk));
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        clearTimeout(timer);
        if (this.socket === socket) this.lost();
        else resolve(false);
      });
    });
  }

  private configure(): void {
    const { secrets, workspace, warm, slots, folder, orphanGrace } = this.options;
    this.send({
      type: 'configure',
      unset: secrets,
      cwd: workspace,
      warm,
      slots,
      results: join(folder, 'results.jsonl'),
      record: join(folder, 'processes'),
      orphanGrace,
    });
  }

  /** Messages of one turn of the event loop share a write. */
  private send(message: ToRunner): void {
    if (this.outbox === '') queueMicrotask(() => this.post());
    this.outbox += `${JSON.stringify(message)}\n`;
  }

  private post(): void {
    clearTimeout(this.acknowledgeTimer);
    this.acknowledgeTimer = undefined;
    if (this.acknowledged.length > 0) {
      this.outbox += `${JSON.stringify({ type: 'acknowledge', ids: this.acknowledged } satisfies ToRunner)}\n`;
      this.acknowledged.length = 0;
    }
    const text = this.outbox;
    this.outbox = '';
    if (text === '') return;
    if (this.socket) this.socket.write(text);
    else if (this.child?.stdin?.writable) this.child.stdin.write(text);
  }

  private receive(message: FromRunner): void {
    if (message.type !== 'ended') return;
    this.ends.set(message.id, message.end);
    this.waiting.get(message.id)?.resolve(message.end);
    this.waiting.delete(message.id);
  }

  /** The runner died by itself: what it ran is ended, told as lost, and another takes its place. */
  private lost(): void {
    if (this.closed || (!this.child && !this.socket)) return;
    this.child = undefined;
    this.socket = undefined;
    if (this.row) this.forget(this.row);
    const lost = [...this.waiting];
    this.waiting.clear();
    endRecorded(join(this.options.folder, 'processes'));
    void endProcessesOfRun(this.options.run).then(() => {
      this.readResults();
      if (!this.closed && this.restarts++ < MOST_RESTARTS) this.spawn();
      for (const [id, deferred] of lost) {
        const end = this.ends.get(id) ?? { code: 137, because: 'runner-lost' as const };
        this.ends.set(id, end);
        deferred.resolve(end);
      }
    });
  }

  /** Ends that an orphaned runner wrote down before it went. */
  private readResults(): void {
    const file = join(this.options.folder, 'results.jsonl');
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      try {
        const { id, end } = JSON.parse(line) as { id: string; end: JobEnd };
        if (end.because !== 'exit') continue;
        this.ends.set(id, end);
        this.adopted.set(id, end.note ?? '');
      } catch {
        // The last line may be cut; its job counts as not ended.
      }
    }
  }
}
