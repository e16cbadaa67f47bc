import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Deferred } from '../../base/deferred.ts';
import { messageOf } from '../../base/result.ts';
import { decide, nextDue } from '../core/decide.ts';
import type { RecordedEvent, RunEvent, StepFailure } from '../core/events.ts';
import { evolve } from '../core/evolve.ts';
import type { ArtifactReader } from '../core/scope.ts';
import { isEnded, isGroup, type RunState, runStatus, type StepState } from '../core/state.ts';
import type { Wish } from '../core/wishes.ts';
import type { TaskHandlers } from '../stations/handlers.ts';
import type { StationRegistry } from '../stations/registry.ts';
import type { Blobs } from './blobs.ts';
import { Performer } from './perform.ts';
import type { RunnerClient } from './runner-client.ts';
import type { EngineSettings } from './settings.ts';
import { LEASE_TIME, LeaseLost, type RunSummary, type Store } from './store.ts';

/** Steps that take less than this are short, in milliseconds; so many are handed over beyond the limit. */
const SHORT = 25;
const AHEAD = 16;

/** Milliseconds in which ends that nobody waits for gather for one commit. */
const GROUP_COMMIT = 4;

export interface DriverParts {
  readonly runId: string;
  readonly workspace: string;
  readonly store: Store;
  readonly blobs: Blobs;
  readonly runner: RunnerClient;
  readonly registry: StationRegistry;
  readonly handlers: TaskHandlers;
  readonly settings: EngineSettings;
  readonly owner: string;
  readonly state: RunState;
  /** The journal's length so far. */
  readonly seq: number;
  /** When its last event happened. */
  readonly lastAt: number;
}

export type DriverEnd =
  | { readonly kind: 'finished' }
  /** It waits for a person, and the host chose not to. */
  | { readonly kind: 'detached' }
  /** The journal could not be written, or another process took the lease: nothing more may be done here. */
  | { readonly kind: 'broken'; readonly message: string };

/**
 * Drives one run: asks the core what must happen, writes it down, and only then lets it show (invariants 3, 4). One place
 * changes state, `flush`, and one writes, `commit`.
 */
export class RunDriver {
  readonly state: RunState;
  readonly parts: DriverParts;
  readonly ended = new Deferred<DriverEnd>();
  readonly artifacts: ArtifactReader;
  private readonly performer: Performer;
  private seq: number;
  private pending: RunEvent[] = [];
  /** Applied, and not yet in the journal. */
  private uncommitted: RecordedEvent[] = [];
  /** Steps to be performed once their start is in the journal. */
  private deferred: string[] = [];
  /** Steps that something not yet in the journal is about. */
  private readonly touched = new Set<string>();
  private commitTimer: NodeJS.Timeout | undefined;
  private committing = false;
  /** A moving average, in milliseconds; long until steps have shown to be short. */
  private typicalTime = 100;
  private durable = new Deferred<void>();
  private scheduled = false;
  private over = false;
  private tearingDown = false;
  private tornDown = false;
  private dueTimer: NodeJS.Timeout | undefined;
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly listeners = new Set<(events: readonly RecordedEvent[]) => void>();
  private dataVersion = -1;
  private ownFolder: string | undefined;
  private readonly wallStart: number;

  constructor(parts: DriverParts) {
    this.parts = parts;
    this.state = parts.state;
    this.seq = parts.seq;
    this.artifacts = {
      runId: parts.runId,
      text: (sha256) => parts.blobs.text(sha256),
      path: (sha256) => parts.blobs.path(sha256),
    };
    this.wallStart = Math.max(Date.now(), parts.lastAt) - performance.now();
    this.performer = new Performer(this);
  }

  /** Told of events after they are durable. Returns what ends it. */
  onEvents(listener: (events: readonly RecordedEvent[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Begins to drive: what a predecessor left running is joined, or told as interrupted. */
  start(): void {
    this.timers.push(
      setInterval(() => this.heartbeat(), LEASE_TIME / 4),
      setInterval(() => this.readWishes(), 100),
    );
    for (const step of [...this.state.steps.values()]) this.takeOver(step);
    this.schedule();
  }

  private takeOver(step: StepState): void {
    const jobId = `${step.path}#${step.attempts.length}`;
    if (step.status === 'running' && !(isGroup(step) && step.children)) {
      if (this.parts.runner.adoptedOf(jobId)) this.performer.begin(step);
      else this.pending.push({ type: 'step.interrupted', step: step.path });
    } else if (step.status === 'completed' && step.step.action === 'launch' && !this.state.finished) {
      if (this.parts.runner.isAdopted(jobId)) this.performer.services.join(step);
      // The service is gone with its host. Whoever has yet to run needs it again.
      else if (this.hasOpenDependents(step)) this.pending.push({ type: 'service.lost', step: step.path });
    }
  }

  private hasOpenDependents(step: StepState): boolean {
    const seen = new Set<StepState>(step.dependents);
    for (const next of seen) {
      if (!isEnded(next)) return true;
      for (const further of next.dependents) seen.add(further);
    }
    return false;
  }

  /** Queues events; resolves when they are durable. */
  emit(...events: RunEvent[]): Promise<void> {
    if (this.over) return new Promise(() => {});
    this.pending.push(...events);
    this.schedule();
    return this.durable.promise;
  }

  /** A person's wish, from this process or another. */
  fulfil(wish: Wish): void {
    if (this.state.finished) return;
    switch (wish.type) {
      case 'cancel': {
        const { cancelling } = this.state;
        if (!cancelling || (wish.force && !cancelling.force))
          void this.emit({ type: 'run.cancelling', reason: 'person', force: wish.force });
        return;
      }
      case 'pause':
        if (!this.state.paused && !this.state.cancelling) void this.emit({ type: 'run.paused' });
        return;
      case 'unpause':
        if (this.state.paused) void this.emit({ type: 'run.unpaused' });
        return;
      case 'continue': {
        const step = this.state.steps.get(wish.step);
        if (step?.status === 'awaiting_review') void this.emit({ type: 'step.continued', step: wish.step });
        else if (step && !step.released) void this.emit({ type: 'step.released', step: wish.step });
        return;
      }
      case 'answer': {
        const step = this.state.steps.get(wish.step);
        if (step?.status === 'waiting' && step.answer === undefined)
          void this.emit({ type: 'step.answered', step: wish.step, answer: wish.answer });
      }
    }
  }

  /** Leaves the run as it waits: services and the runner are ended, the lease is given back. */
  async detach(): Promise<void> {
    if (this.over) return;
    await this.performer.services.stop();
    await this.end({ kind: 'detached' });
  }

  /**
   * The run's time, milliseconds since 1970. The system's clock is read once, when driving begins, and never runs behind the
   * journal: a clock that jumps while the run goes on moves no retry, no deadline and no guardrail.
   */
  now(): number {
    return Math.round(this.wallStart + performance.now());
  }

  private schedule(): void {
    if (this.scheduled || this.over) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }

  /**
   * Applies what was queued and lets the core decide until it has nothing more to say. What follows waits for the commit,
   * but for one thing: a script whose dependencies are all durable starts at once, since the runner remembers it if we die,
   * and whoever takes over joins it. So commits run beside the work, and a step never waits for one that only concerns itself
   * or its siblings.
   */
  private flush(): void {
    this.scheduled = false;
    if (this.over) return;
    const now = this.now();
    let urgent = false;
    let early = false;
    const apply = (event: RunEvent) => {
      const recorded = { ...event, at: now };
      evolve(this.state, recorded);
      this.uncommitted.push(recorded);
      if (event.type === 'step.started' && this.canStartEarly(event.step)) {
        this.performer.started(this.state.steps.get(event.step)!);
        early = true;
      } else if (event.type === 'step.completed' || event.type === 'step.failed') {
        this.touched.add(event.step);
        this.learnTime(event.step);
      } else {
        if (event.type === 'step.started') this.deferred.push(event.step);
        else if ('step' in event) this.touched.add(event.step);
        urgent = true;
      }
    };
    try {
      for (const event of this.pending) apply(event);
      this.pending = [];
      const context = { now, parallel: this.parts.settings.parallel, ahead: this.ahead(), artifacts: this.artifacts };
      for (let event = decide(this.state, context); event; event = decide(this.state, context)) {
        if (event.type === 'run.finished' && !this.readyToFinish()) break;
        apply(event);
      }
    } catch (error) {
      void this.end({ kind: 'broken', message: `this is a bug in Stationmaster: ${messageOf(error)}` });
      return;
    }
    if (this.uncommitted.length === 0) this.armDue();
    // What has just been started early is on its way before a commit takes the thread.
    else if (urgent && early) this.commitSoon();
    else if (urgent) this.commit();
    else this.commitTimer ??= setTimeout(() => this.commit(), GROUP_COMMIT);
  }

  /** Few steps ahead while steps are short; none otherwise, so that a step that is shown as running runs. */
  private ahead(): number {
    return this.typicalTime < SHORT ? AHEAD : 0;
  }

  private learnTime(path: string): void {
    const attempts = this.state.steps.get(path)!.attempts;
    const last = attempts[attempts.length - 1];
    if (last?.endedAt !== undefined) this.typicalTime += (last.endedAt - last.startedAt - this.typicalTime) / 4;
  }

  private canStartEarly(path: string): boolean {
    const step = this.state.steps.get(path)!;
    if (step.step.action !== 'run' || step.step.heal !== undefined || isGroup(step) || this.touched.has(path))
      return false;
    if (step.parent && this.touched.has(step.parent.path)) return false;
    return step.dependencies.every((dependency) => !this.touched.has(dependency.path));
  }

  private commitSoon(): void {
    if (this.committing) return;
    this.committing = true;
    setImmediate(() => this.commit());
  }

  /** Writes all that was applied in one transaction, flushed to disk, and then does what it says. */
  private commit(): void {
    clearTimeout(this.commitTimer);
    this.commitTimer = undefined;
    this.committing = false;
    if (this.over || this.uncommitted.length === 0) return;
    const batch = this.uncommitted;
    const deferred = this.deferred;
    this.uncommitted = [];
    this.deferred = [];
    try {
      this.parts.store.append(this.parts.runId, this.seq + 1, batch, summaryOf(this.state), this.parts.owner);
    } catch (error) {
      // What was not written did not happen. The state is ahead of the journal now, so nothing more may follow from it.
      if (error instanceof LeaseLost) return void this.end({ kind: 'broken', message: error.message });
      void this.end({
        kind: 'broken',
        message: `the journal could not be written: ${messageOf(error)}. The run stopped where its journal ends; make room or repair the folder, then resume it`,
      });
      return;
    }
    this.seq += batch.length;
    this.touched.clear();
    const { durable } = this;
    this.durable = new Deferred();
    durable.resolve();
    for (const event of batch) this.effect(event);
    for (const path of deferred) this.performer.started(this.state.steps.get(path)!);
    for (const listener of this.listeners) listener(batch);
    this.armDue();
  }

  /** A run ends after its services: nothing of it may outlive it (invariant 7). */
  private readyToFinish(): boolean {
    if (this.tornDown || !this.performer.services.any) return true;
    if (!this.tearingDown) {
      this.tearingDown = true;
      void this.performer.services.stop().then(() => {
        this.tornDown = true;
        this.schedule();
      });
    }
    return false;
  }

  private effect(event: RecordedEvent): void {
    switch (event.type) {
      case 'step.completed':
      case 'step.reviewing':
      case 'step.failed':
      case 'step.cancelled':
      case 'step.waiting':
        this.performer.settled(event.step);
        return;
      case 'run.cancelling':
        this.performer.cancelAll(event.force);
        return;
      case 'run.finished':
        void this.end({ kind: 'finished' });
        return;
      default:
    }
  }

  private armDue(): void {
    clearTimeout(this.dueTimer);
    const due = nextDue(this.state);
    if (due !== undefined && !this.over)
      this.dueTimer = setTimeout(() => this.schedule(), Math.min(Math.max(0, due - this.now()), 60_000));
  }

  private heartbeat(): void {
    const { store, runId, owner } = this.parts;
    try {
      if (store.renewLease(runId, owner, Date.now())) return;
      void this.end({ kind: 'broken', message: 'another process drives this run now' });
    } catch {
      // A busy store is asked again before the lease runs out.
    }
  }

  private readWishes(): void {
    const { store, runId } = this.parts;
    const version = store.dataVersion();
    if (version === this.dataVersion) return;
    this.dataVersion = version;
    for (const wish of store.takeWishes(runId)) this.fulfil(wish);
  }

  private async end(end: DriverEnd): Promise<void> {
    if (this.over) return;
    this.over = true;
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.dueTimer);
    clearTimeout(this.commitTimer);
    this.performer.abandon();
    await this.parts.runner.close();
    try {
      this.parts.store.releaseLease(this.parts.runId, this.parts.owner);
    } catch {
      // It expires by itself.
    }
    if (end.kind === 'finished') rmSync(this.folder(), { recursive: true, force: true });
    this.ended.resolve(end);
  }

  /** The run's folder for what is only needed while it runs. */
  folder(): string {
    this.ownFolder ??= runFolder(this.parts.store, this.parts.runId);
    return this.ownFolder;
  }

  logFile(step: string, attempt: number): string {
    return logFile(this.parts.store, this.parts.runId, step, attempt);
  }

  /** How far a running step says it is. */
  progress(step: string): { percent: number; text: string } | undefined {
    return this.performer.talks.progress(step);
  }

  fail(step: string, failure: StepFailure): void {
    void this.emit({ type: 'step.failed', step, failure });
  }
}

export function runFolder(store: Store, run: string): string {
  const folder = join(store.folder, 'tmp', run);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A step's path as a file name. */
export function fileName(step: string): string {
  return step.replaceAll('/', '~');
}

export function logFile(store: Store, run: string, step: string, attempt: number): string {
  return join(store.folder, 'logs', run, `${fileName(step)}.${attempt}.log`);
}

/** What the list of runs shows. */
export function summaryOf(state: RunState): RunSummary {
  return {
    status: runStatus(state),
    questions: state.questions,
    ...(state.startedAt === undefined ? {} : { startedAt: state.startedAt }),
    ...(state.finishedAt === undefined ? {} : { finishedAt: state.finishedAt }),
    ...(state.finished?.message === undefined ? {} : { message: state.finished.message }),
  };
}
