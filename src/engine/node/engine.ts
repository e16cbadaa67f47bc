import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import { type Diagnostic, Problems } from '../../language/diagnostics.ts';
import { resolveValue, textForm } from '../../language/expression/resolve.ts';
import { readYaml, toJson, valueAt } from '../../language/located.ts';
import { checkWorkflow } from '../../language/workflow/check.ts';
import { type Field, toField } from '../../language/workflow/fields.ts';
import { canonicalPlan, createPlan, type Plan } from '../../language/workflow/plan.ts';
import { isAlive, ownIdentity } from '../../system/process-identity.ts';
import { endRecorded } from '../../system/process-record.ts';
import { downstream, resumable } from '../core/decide.ts';
import type { RecordedEvent, RunEvent } from '../core/events.ts';
import { evolve, fold } from '../core/evolve.ts';
import type { RunState, StepState } from '../core/state.ts';
import type { Wish } from '../core/wishes.ts';
import { DEFAULT_HANDLERS, type TaskHandlers } from '../stations/handlers.ts';
import { StationRegistry } from '../stations/registry.ts';
import { Blobs } from './blobs.ts';
import { RunDriver, runFolder, summaryOf } from './driver.ts';
import { endProcessesOfRun, processesOfRun } from './orphans.ts';
import { RunnerClient } from './runner-client.ts';
import { newRunId, type RunnerProcess } from './runner-process.ts';
import { defaultSettings, type EngineSettings } from './settings.ts';
import { loadStations } from './stations-folder.ts';
import { type RunRow, Store, type StoreProblem } from './store.ts';
import { WorkspaceSurroundings } from './surroundings.ts';

export type EngineProblem =
  | StoreProblem
  | 'no-such-file'
  | 'invalid-workflow'
  | 'bad-input'
  | 'no-such-run'
  | 'no-such-step'
  | 'driven-elsewhere'
  | 'group-busy'
  | 'not-resumable'
  | 'not-possible';

export interface CheckedFile {
  readonly file: string;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface RunRequest {
  /** Absolute, or relative to the current folder. */
  readonly file: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly stepByStep: boolean;
  /** A runner that was started ahead; its run's id becomes the run's. */
  readonly prepared?: RunnerProcess;
}

/** The engine of one workspace: what both hosts, extension and command line, stand on. */
export class Engine {
  readonly workspace: string;
  readonly store: Store;
  readonly blobs: Blobs;
  readonly settings: EngineSettings;
  private readonly owner = `${ownIdentity()}@${randomBytes(3).toString('hex')}`;
  private readonly handlers: TaskHandlers;
  private registry: StationRegistry | undefined;

  private constructor(workspace: string, store: Store, settings: EngineSettings, handlers: TaskHandlers) {
    this.handlers = handlers;
    this.workspace = workspace;
    this.store = store;
    this.settings = settings;
    this.blobs = new Blobs(join(store.folder, 'blobs'));
  }

  static open(
    workspace: string,
    settings: EngineSettings = defaultSettings(),
    handlers: TaskHandlers = DEFAULT_HANDLERS,
  ): Result<Engine, EngineProblem> {
    const store = Store.open(join(workspace, '.stationmaster'), settings.durability);
    return store.ok ? ok(new Engine(workspace, store.value, settings, handlers)) : store;
  }

  close(): void {
    this.store.close();
  }

  /** Stations, those of the workspace included. Loading them runs their code: only in a trusted workspace. */
  async stations(): Promise<Result<StationRegistry, 'not-possible'>> {
    if (!this.registry) {
      const { stations, problems } = await loadStations(join(this.workspace, '.stationmaster', 'stations'));
      if (problems.length > 0) return fail('not-possible', problems.join('; '));
      this.registry = new StationRegistry(stations);
    }
    return ok(this.registry);
  }

  /** Checks a workflow file and makes its plan. */
  async plan(
    file: string,
    inputs: Readonly<Record<string, unknown>>,
  ): Promise<Result<Plan, EngineProblem> & { checked?: CheckedFile }> {
    const path = resolve(file);
    if (!existsSync(path)) return fail('no-such-file', `there is no file ${file}`);
    const registry = await this.stations();
    if (!registry.ok) return registry;
    const text = readFileSync(path, 'utf8');
    const checkPrompt = /^\s+(?:prompt|define|workflow)\s*:|[{,]\s*(?:prompt|define|workflow)\s*:/m.test(text)
      ? (await import('../../language/prompt/check.ts')).checkPrompt
      : undefined;
    const surroundings = new WorkspaceSurroundings(this.workspace, registry.value, {
      stack: [path],
      ...(checkPrompt ? { checkPrompt } : {}),
    });
    const { checked, diagnostics } = checkWorkflow(text, surroundings);
    const report = { file, text, diagnostics };
    if (!checked) return { ...fail('invalid-workflow', `${file} has errors`), checked: report };
    return { ...createPlan(checked, inputs), checked: report };
  }

  /** The declared inputs of a workflow file, so that texts can become values; none when it cannot be read. */
  async inputFields(file: string): Promise<Readonly<Record<string, Field>>> {
    const path = resolve(file);
    if (!existsSync(path)) return {};
    const root = readYaml(readFileSync(path, 'utf8'), new Problems());
    const inputs = valueAt(root, 'inputs');
    if (inputs?.kind !== 'map') return {};
    return Object.fromEntries(inputs.entries.map((entry) => [entry.key, toField(toJson(entry.value))]));
  }

  /** Records a run, ready to be driven. Nothing has been executed when it returns. */
  async createRun(plan: Plan, request: RunRequest): Promise<Result<string, EngineProblem>> {
    const run = request.prepared?.run ?? newRunId();
    const group = plan.concurrency && textForm(resolveValue(plan.concurrency.group, { inputs: plan.inputs }));
    if (group !== undefined && plan.concurrency!.onConflict !== 'queue') {
      const busy = this.store.openRunsOfGroup(group);
      if (busy.length > 0 && plan.concurrency!.onConflict === 'reject') {
        return fail(
          'group-busy',
          `run ${busy[0]!.id} of group "${group}" has not ended, and the workflow says to reject a second one`,
        );
      }
      for (const other of busy) this.store.wish(other.id, { type: 'cancel', force: false }, Date.now());
    }
    const baseline = plan.steps.some((step) => step.action === 'use' && step.subject === 'commit')
      ? await dirtyFiles(this.workspace)
      : undefined;
    const planText = canonicalPlan(plan);
    const file = relative(this.workspace, resolve(request.file));
    const created: RunEvent = {
      type: 'run.created',
      name: plan.name,
      options: { stepByStep: request.stepByStep, ...(baseline === undefined ? {} : { baseline }) },
    };
    try {
      const at = Date.now();
      const sha256 = this.blobs.putText(planText);
      this.store.transaction(() => {
        this.store.createRun({
          id: run,
          name: plan.name,
          file: isAbsolute(file) ? basename(file) : file,
          plan: sha256,
          at,
          ...(group === undefined ? {} : { group }),
        });
        this.store.append(run, 1, [{ ...created, at }], { status: 'queued', questions: 0 });
        // Held from the start, so that a run that waits for its turn is known to be somebody's.
        this.store.takeLease(run, this.owner, at, isAlive);
      });
      return ok(run);
    } catch (error) {
      return fail('store-unwritable', `the run could not be recorded: ${messageOf(error)}. Nothing was executed`);
    }
  }

  /** Waits for the turn of a run in its concurrency group; false when it was cancelled while it waited. */
  async waitForTurn(run: string, onWait: (other: RunRow) => void): Promise<boolean> {
    const group = this.store.groupOf(run);
    if (group === undefined) return true;
    let told: string | undefined;
    for (;;) {
      const blocker = this.blockerOf(run, group);
      if (!blocker) return true;
      if (told !== blocker.id) onWait(blocker);
      told = blocker.id;
      if (this.store.takeWishes(run).some((wish) => wish.type === 'cancel')) {
        this.store.append(
          run,
          this.store.events(run).length + 1,
          [{ type: 'run.finished', status: 'cancelled', at: Date.now() }],
          {
            status: 'cancelled',
            questions: 0,
          },
        );
        this.store.releaseLease(run, this.owner);
        return false;
      }
      this.store.renewLease(run, this.owner, Date.now());
      await new Promise((done) => setTimeout(done, 200));
    }
  }

  /**
   * The run of a group that another has to wait for: one that came before it or has begun. A run whose host died keeps
   * nobody waiting, unless it waits for a person itself.
   */
  private blockerOf(run: string, group: string): RunRow | undefined {
    const open = this.store.openRunsOfGroup(group);
    const own = open.findIndex((other) => other.id === run);
    return open.find((other, index) => {
      if (other.id === run) return false;
      const waits = other.status === 'waiting' || other.status === 'paused';
      if (!waits && !this.isDriven(other.id)) return false;
      return index < own || other.startedAt !== null;
    });
  }

  /**
   * Takes the right to drive a run that was just created, or goes on with one that was left. `begin` says with which events,
   * from the state as it is once nobody else can change it.
   */
  async drive(
    run: string,
    begin: (state: RunState) => Result<readonly RunEvent[], EngineProblem> = () => ok([]),
    prepared?: RunnerProcess,
  ): Promise<Result<RunDriver, EngineProblem>> {
    const row = this.store.run(run);
    if (!row) return fail('no-such-run', `there is no run ${run}`);
    const registry = await this.stations();
    if (!registry.ok) return registry;
    if (!this.store.takeLease(run, this.owner, Date.now(), isAlive)) {
      return fail(
        'driven-elsewhere',
        `run ${run} is driven by another process; watch it with \`stationmaster logs ${run} --follow\``,
      );
    }
    const { state, events } = this.load(row);
    const extra = begin(state);
    if (!extra.ok) {
      this.store.releaseLease(run, this.owner);
      return extra;
    }
    const fresh = state.startedAt === undefined;
    const runnerOptions = {
      run,
      store: this.store,
      workspace: this.workspace,
      secrets: state.plan.secrets,
      folder: runFolder(this.store, run),
      warm: this.settings.warm,
      slots: state.plan.limits.parallel ?? this.settings.parallel,
      orphanGrace: this.settings.orphanGrace,
    };
    // A host may have died before its first commit, with scripts on their way already: then there is a runner to adopt.
    const untouched = fresh && !this.store.runners().some((row) => row.run === run);
    const runner = untouched ? RunnerClient.start(runnerOptions, prepared) : await RunnerClient.adopt(runnerOptions);
    const driver = new RunDriver({
      runId: run,
      workspace: this.workspace,
      store: this.store,
      blobs: this.blobs,
      runner,
      registry: registry.value,
      handlers: this.handlers,
      settings: this.settings,
      owner: this.owner,
      state,
      seq: events.length,
      lastAt: events[events.length - 1]?.at ?? 0,
    });
    const first: RunEvent[] = [...(fresh ? [{ type: 'run.started' } as const] : []), ...extra.value];
    if (first.length > 0) void driver.emit(...first);
    driver.start();
    return ok(driver);
  }

  /** The state of a run as its journal has it now. */
  load(row: RunRow): { state: RunState; events: RecordedEvent[] } {
    const plan = JSON.parse(this.blobs.text(row.plan)) as Plan;
    const events = this.store.events(row.id);
    return { state: fold(plan, events), events };
  }

  /** Goes on with a run: one that was interrupted, or from its failed steps. */
  async resume(run: string): Promise<Result<RunDriver, EngineProblem>> {
    return this.drive(run, (state) => {
      if (!state.finished) return ok(state.paused ? [{ type: 'run.unpaused' }] : []);
      if (state.finished.status === 'completed') {
        return fail('not-resumable', `run ${run} has completed; there is nothing to resume`);
      }
      return ok(again(resumable(state)));
    });
  }

  /** Runs a step again, and everything that depends on it. */
  async retry(run: string, path: string): Promise<Result<RunDriver, EngineProblem>> {
    return this.drive(run, (state) => {
      const step = state.steps.get(path);
      if (!step) {
        const names = [...state.steps.keys()].slice(0, 20).join(', ');
        return fail('no-such-step', `run ${run} has no step "${path}"; it has ${names}`);
      }
      if (step.parent) return fail('not-possible', `"${path}" is part of "${step.parent.path}"; retry that one`);
      if (!state.finished) {
        return fail('not-possible', `run ${run} has not ended; cancel it first, or answer its question`);
      }
      const roots = [step, ...resumable(state).filter((other) => other !== step)];
      return ok(again(new Set(roots.flatMap((root) => downstream(root)))));
    });
  }

  /**
   * Makes an older version of a product the one that counts, and what depends on it stale: `resume` then runs that again. The
   * file in the workspace is put back too, if it still holds what the run last left there (invariant 11).
   */
  async rollback(
    run: string,
    path: string,
    name: string,
    version: number,
  ): Promise<Result<{ again: readonly string[] }, EngineProblem>> {
    const row = this.store.run(run);
    if (!row) return fail('no-such-run', `there is no run ${run}`);
    if (!this.store.takeLease(run, this.owner, Date.now(), isAlive)) {
      return fail('driven-elsewhere', `run ${run} is driven by another process; cancel it or wait for its end`);
    }
    try {
      const { state, events } = this.load(row);
      const step = state.steps.get(path);
      if (!step) return fail('no-such-step', `run ${run} has no step "${path}"`);
      if (!state.finished) return fail('not-possible', `run ${run} has not ended; let it end or cancel it first`);
      const current = step.artifacts.find((artifact) => artifact.name === name);
      const versions = events.flatMap((event) =>
        (event.type === 'step.completed' || event.type === 'step.reviewing') && event.step === path
          ? (event.artifacts ?? [])
          : [],
      );
      const older = versions.find((artifact) => artifact.name === name && artifact.version === version);
      if (!current || !older) {
        const known = versions.filter((artifact) => artifact.name === name).map((artifact) => `@${artifact.version}`);
        return fail(
          'not-possible',
          `there is no ${path}/${name}@${version}${known.length > 0 ? `; there are ${known.join(', ')}` : ''}`,
        );
      }
      const file = older.path === '' ? undefined : join(this.workspace, older.path);
      if (file !== undefined && existsSync(file)) {
        if ((await this.blobs.addressOf(file)) !== current.sha256) {
          return fail(
            'not-possible',
            `${older.path} was changed since the run wrote it; nothing was rolled back. Move it away first`,
          );
        }
        copyFileSync(this.blobs.path(older.sha256), file);
      }
      const stale = downstream(step).filter((other) => other !== step);
      const recorded = [{ type: 'artifact.rolled_back', step: path, artifact: older } as const, ...again(stale)].map(
        (event) => ({ ...event, at: Date.now() }),
      );
      for (const event of recorded) evolve(state, event);
      this.store.append(run, events.length + 1, recorded, summaryOf(state), this.owner);
      return ok({ again: stale.map((other) => other.path) });
    } finally {
      this.store.releaseLease(run, this.owner);
    }
  }

  /** Removes old runs beyond the retention, now and then: never more often than it is worth looking. */
  async retain(): Promise<void> {
    const { runs, days, bytes } = this.settings.retention;
    if (this.store.countRuns() <= runs * 1.1) return;
    const { clean } = await import('./retention.ts');
    clean(this.store, { runs, age: days * 86_400_000, bytes }, Date.now(), false);
  }

  /** Sends a wish to whoever drives the run; when nobody does, it is written into the journal here. */
  async wish(run: string, wish: Wish): Promise<Result<'sent' | 'recorded', EngineProblem>> {
    const row = this.store.run(run);
    if (!row) return fail('no-such-run', `there is no run ${run}`);
    const { state } = this.load(row);
    if (state.finished) return fail('not-possible', `run ${run} has ended: ${state.finished.status}`);
    const problem = wishProblem(state, wish);
    if (problem) return fail('not-possible', problem);
    const holder = this.store.leaseHolder(run, Date.now(), isAlive);
    if (holder !== undefined) {
      this.store.wish(run, wish, Date.now());
      return ok('sent');
    }
    if (wish.type === 'cancel') {
      const driven = await this.drive(run);
      if (!driven.ok) return driven;
      driven.value.fulfil(wish);
      await driven.value.ended.promise;
      return ok('recorded');
    }
    return this.record(row, wish);
  }

  /** Writes a wish into the journal of a run that nobody drives. */
  private record(row: RunRow, wish: Wish): Result<'recorded', EngineProblem> {
    if (!this.store.takeLease(row.id, this.owner, Date.now(), isAlive)) {
      return fail('driven-elsewhere', `run ${row.id} was just taken by another process; try again`);
    }
    const { state, events } = this.load(row);
    const event = eventOf(state, wish);
    if (event) {
      const recorded = { ...event, at: Date.now() };
      evolve(state, recorded);
      this.store.append(row.id, events.length + 1, [recorded], summaryOf(state));
    }
    this.store.releaseLease(row.id, this.owner);
    return ok('recorded');
  }

  /** Finds a run by a prefix of its id. */
  find(prefix: string): Result<RunRow, 'no-such-run'> {
    const found = this.store.runsByPrefix(prefix);
    if (found.length === 0)
      return fail('no-such-run', `no run begins with "${prefix}"; \`stationmaster runs\` lists them`);
    if (found.length > 1)
      return fail(
        'no-such-run',
        `${found.length} runs begin with "${prefix}": ${found.map((run) => run.id).join(', ')}`,
      );
    return ok(found[0]!);
  }

  isDriven(run: string): boolean {
    return this.store.leaseHolder(run, Date.now(), isAlive) !== undefined;
  }

  /**
   * Ends what runs left behind whose host is gone and whose grace is over: runs without a lease whose processes are still
   * there although no runner of theirs is. Called when a host starts.
   */
  async endLeftovers(): Promise<number> {
    let ended = 0;
    for (const runner of this.store.runners()) {
      if (isAlive(`${runner.pid}@${runner.startTime}`) || this.isDriven(runner.run)) continue;
      ended += endRecorded(join(this.store.folder, 'tmp', runner.run, 'processes')).length;
      if (processesOfRun(runner.run).length > 0) ended += (await endProcessesOfRun(runner.run)).length;
      this.store.removeRunner(runner.socket);
      rmSync(runner.socket, { force: true });
    }
    return ended;
  }
}

/** A run that had ended goes on, and these steps start afresh. */
function again(steps: Iterable<StepState>): RunEvent[] {
  return [{ type: 'run.resumed' }, ...[...steps].map((step): RunEvent => ({ type: 'step.reset', step: step.path }))];
}

function wishProblem(state: RunState, wish: Wish): string | undefined {
  if (wish.type === 'continue' || wish.type === 'answer') {
    const step = state.steps.get(wish.step);
    if (!step) return `there is no step "${wish.step}"`;
    if (wish.type === 'answer') return answerProblem(step, wish.answer.option);
    if (
      step.status !== 'awaiting_review' &&
      !(state.options.stepByStep && !step.released && step.status === 'pending')
    ) {
      return `step "${wish.step}" does not wait to be continued; it is ${step.status}`;
    }
  }
  return undefined;
}

function answerProblem(step: StepState, option: string | undefined): string | undefined {
  if (step.status !== 'waiting' || !step.question) return `step "${step.path}" asks nothing; it is ${step.status}`;
  const { options } = step.question;
  if (option !== undefined && options.length > 0 && !options.includes(option))
    return `"${option}" is not one of the answers: ${options.join(', ')}`;
  return undefined;
}

function eventOf(state: RunState, wish: Wish): RunEvent | undefined {
  switch (wish.type) {
    case 'pause':
      return state.paused ? undefined : { type: 'run.paused' };
    case 'unpause':
      return state.paused ? { type: 'run.unpaused' } : undefined;
    case 'continue':
      return state.steps.get(wish.step)?.status === 'awaiting_review'
        ? { type: 'step.continued', step: wish.step }
        : { type: 'step.released', step: wish.step };
    case 'answer':
      return { type: 'step.answered', step: wish.step, answer: wish.answer };
    case 'cancel':
      return undefined;
  }
}

/** Files that differ from the last commit; none when the workspace is no repository. */
async function dirtyFiles(workspace: string): Promise<string[]> {
  const { simpleGit } = await import('simple-git');
  try {
    const git = simpleGit({ baseDir: workspace });
    return (await git.checkIsRepo()) ? (await git.status()).files.map((file) => file.path) : [];
  } catch {
    return [];
  }
}
