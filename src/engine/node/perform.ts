import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isObject, type JsonObject } from '../../base/json.ts';
import { Masker } from '../../base/masking.ts';
import { messageOf } from '../../base/result.ts';
import { containsExpression, resolveValue, textForm } from '../../language/expression/resolve.ts';
import { hasExpression } from '../../language/expression/template.ts';
import { renderDiagnostics } from '../../language/text.ts';
import { parseDuration } from '../../language/values.ts';
import { checkWorkflow } from '../../language/workflow/check.ts';
import { fieldFromText } from '../../language/workflow/fields.ts';
import { type Plan, resolveInputs, template } from '../../language/workflow/plan.ts';
import type { Job, JobEnd } from '../../protocol/runner.ts';
import { retryDelay } from '../core/decide.ts';
import type { Artifact, Outputs, Question, StepFailure } from '../core/events.ts';
import { scopeValues } from '../core/scope.ts';
import { isGroup, type StepState } from '../core/state.ts';
import { diagnose, heal } from '../healing/heal.ts';
import { PLAYBOOKS } from '../healing/playbooks/index.ts';
import { assigneeOf, describeTask } from '../stations/handlers.ts';
import { accepts, executeLaunch, freePort } from '../stations/launch.ts';
import { lastPart } from '../stations/log-tail.ts';
import { executePython } from '../stations/python.ts';
import { executeShell } from '../stations/shell.ts';
import { failed, type JobOptions, type StationContext, type StationResult } from '../stations/station.ts';
import { fileName, type RunDriver } from './driver.ts';
import { endProcessesOfRun, listenerOf, runOf } from './orphans.ts';
import { isAlive } from './process-identity.ts';
import { WorkspaceSurroundings } from './surroundings.ts';
import { TalkBack } from './talk-back.ts';

interface Active {
  readonly abort: AbortController;
  readonly jobs: Set<string>;
}

interface Service {
  readonly step: string;
  readonly jobId: string;
  readonly port: number | undefined;
  restarts: number[];
}

/** Does what the core decided for steps, and tells what came of it as events. */
export class Performer {
  private readonly driver: RunDriver;
  private readonly active = new Map<string, Active>();
  private readonly services = new Map<string, Service>();
  /** Jobs whose ends the runner keeps until the journal has them, by step. */
  private readonly unacknowledged = new Map<string, Set<string>>();
  private readonly masker: Masker;
  private readonly secrets: ReadonlyMap<string, string>;
  private readonly talks = new Map<string, TalkBack>();
  private readonly freeTalks: TalkBack[] = [];
  private readonly logFolders = new Set<string>();
  private stopping = false;

  constructor(driver: RunDriver) {
    this.driver = driver;
    const values = driver.state.plan.secrets.flatMap((name): [string, string][] => {
      const value = process.env[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    });
    this.secrets = new Map(values);
    this.masker = new Masker([...this.secrets.values()]);
  }

  /** A step has been started in the journal. While healing, a further attempt of a step that is being performed. */
  started(step: StepState): void {
    if (!this.active.has(step.path)) this.begin(step);
  }

  begin(step: StepState): void {
    const active: Active = { abort: new AbortController(), jobs: new Set() };
    this.active.set(step.path, active);
    if (this.driver.state.cancelling?.force) active.abort.abort();
    this.perform(step, active)
      .catch((error: unknown) =>
        this.driver.fail(step.path, {
          reason: 'internal',
          message: `this is a bug in Stationmaster: ${messageOf(error)}`,
        }),
      )
      .finally(() => this.active.delete(step.path));
  }

  /** What the journal knows the runner need not keep. */
  settled(path: string): void {
    const ids = this.unacknowledged.get(path);
    if (!ids) return;
    this.unacknowledged.delete(path);
    this.driver.parts.runner.acknowledge([...ids]);
  }

  cancelAll(force: boolean): void {
    for (const { abort, jobs } of this.active.values()) {
      abort.abort();
      for (const id of jobs) this.driver.parts.runner.stop(id, force);
    }
  }

  abandon(): void {
    for (const { abort } of this.active.values()) abort.abort();
  }

  hasServices(): boolean {
    return this.services.size > 0;
  }

  /** Ends all services and makes sure that their ports are free again. */
  async stopServices(): Promise<void> {
    this.stopping = true;
    const { runner } = this.driver.parts;
    await Promise.all(
      [...this.services.values()].map(async ({ jobId, port }) => {
        runner.stop(jobId, false);
        await runner.run(jobId, {} as Job);
        for (let i = 0; port !== undefined && i < 40 && (await accepts(port)); i++)
          await new Promise((resolve) => setTimeout(resolve, 25));
      }),
    );
    this.services.clear();
  }

  /** A service that a predecessor of this host started and that still runs. */
  joinService(step: StepState): void {
    const port = step.outputs['port'];
    this.watchService(step.path, `${step.path}#${step.attempts.length}`, typeof port === 'number' ? port : undefined);
  }

  private async perform(step: StepState, active: Active): Promise<void> {
    try {
      if (isGroup(step)) return await this.performGroup(step);
      if (step.step.action === 'ask') return this.ask(step);
      if (step.step.action === 'prompt' || assigneeOf(step.step) !== 'functional') return await this.performTask(step);
    } catch (error) {
      return this.driver.fail(step.path, { reason: 'bad-expression', message: messageOf(error) });
    }
    await this.performStation(step, active);
  }

  private scope(step: StepState, extra: Record<string, unknown> = {}): Record<string, unknown> {
    return scopeValues(this.driver.state, step, this.driver.artifacts, extra);
  }

  /** Resolves the expressions of a value; the scope is only built when there is one. @throws Error with one sentence */
  private resolve(step: StepState, value: unknown, extra: Record<string, unknown> = {}): unknown {
    return containsExpression(value) ? resolveValue(value, this.scope(step, extra)) : value;
  }

  private async performGroup(step: StepState): Promise<void> {
    const { driver } = this;
    if (step.step.forEach !== undefined && !step.isInstance) {
      const items = toList(resolveValue(step.step.forEach, this.scope(step)));
      if (!items) return driver.fail(step.path, { reason: 'bad-list', message: '"for_each" did not give a list' });
      return void driver.emit({ type: 'step.expanded', step: step.path, items });
    }
    const given = resolveValue(step.step.with, this.scope(step)) as JsonObject;
    const plan =
      step.step.action === 'workflow'
        ? step.scope.plan.workflows[String(step.step.subject)]
        : await this.definedPlan(step);
    if (plan === undefined) return;
    const inputs = resolveInputs(plan.fields, given);
    if (!inputs.ok) return driver.fail(step.path, { reason: 'bad-input', message: inputs.failure.message });
    // A grafted workflow sees its own inputs, and the environment and secrets of the run around it.
    const grafted: Plan = { ...plan, inputs: inputs.value, env: { ...step.scope.plan.env, ...plan.env } };
    await driver.emit({ type: 'step.grafted', step: step.path, plan: grafted });
  }

  /** Checks what an earlier step wrote; an invalid definition is a failure of this step and of nothing else. */
  private async definedPlan(step: StepState): Promise<Plan | undefined> {
    const { workspace, registry } = this.driver.parts;
    const source = textForm(resolveValue(step.step.subject, this.scope(step)));
    const { checkPrompt } = await import('../../language/prompt/check.ts');
    const check = checkWorkflow(source, new WorkspaceSurroundings(workspace, registry, { checkPrompt }));
    if (check.checked) return template(check.checked);
    const lines = renderDiagnostics(
      step.path,
      source,
      check.diagnostics.filter((diagnostic) => diagnostic.severity === 'error'),
    );
    this.driver.fail(step.path, {
      reason: 'bad-definition',
      message: `the defined workflow is invalid: ${lines.slice(0, 5).join('; ')}`,
    });
    return undefined;
  }

  private ask(step: StepState): void {
    const ask = (isObject(step.step.subject) ? step.step.subject : {}) as JsonObject;
    const timeout = typeof ask['timeout'] === 'string' ? parseDuration(ask['timeout']) : undefined;
    const options = Array.isArray(ask['options']) ? ask['options'].map(String) : [];
    const question: Question = {
      kind: 'ask',
      text: this.masker.mask(textForm(resolveValue(ask['question'], this.scope(step)))),
      options,
      ...(isObject(ask['fields']) ? { fields: ask['fields'] } : {}),
      ...(timeout === undefined ? {} : { deadline: this.driver.now() + timeout }),
      ...(typeof ask['on_timeout'] === 'string' ? { onTimeout: ask['on_timeout'] } : {}),
    };
    void this.driver.emit({ type: 'step.waiting', step: step.path, on: 'human', question });
  }

  /** What a task is in words: the rendered prompt, or what the step says of itself. @throws Error with one sentence */
  private async taskText(step: StepState): Promise<string> {
    if (step.step.action !== 'prompt') return this.masker.mask(describeTask(step.step));
    const { checkPrompt, renderPrompt } = await import('../../language/prompt/check.ts');
    const source = step.scope.plan.prompts[String(step.step.subject)] ?? '';
    const text = renderPrompt(checkPrompt(source), this.resolve(step, step.step.with) as JsonObject);
    return this.masker.mask(text.trim());
  }

  /** A task that somebody other than a program does. */
  private async performTask(step: StepState): Promise<void> {
    const text = await this.taskText(step);
    const result = await this.driver.parts.handlers[assigneeOf(step.step)]({ path: step.path, step: step.step, text });
    if (result.kind === 'ask')
      return void this.driver.emit({ type: 'step.waiting', step: step.path, on: 'human', question: result.question });
    if (result.kind === 'completed') return this.complete(step, result);
    if (result.kind === 'cancelled') return void this.driver.emit({ type: 'step.cancelled', step: step.path });
    this.failStep(step, result.failure);
  }

  private async performStation(step: StepState, active: Active): Promise<void> {
    const { driver } = this;
    const { path } = step;
    if (step.healing?.approved && (await this.applyApproved(step, active)) === 'asked') return;
    for (;;) {
      const result = await this.attempt(step, active);
      // What completed just before it was cancelled has completed.
      if (result.kind === 'completed') return this.complete(step, result);
      if (result.kind === 'cancelled' || active.abort.signal.aborted)
        return void driver.emit({ type: 'step.cancelled', step: path });
      const { failure } = result;
      const heals =
        step.step.heal !== undefined && failure.reason !== 'bad-expression' && failure.reason !== 'missing-secret';
      if (!heals) return this.failStep(step, failure);
      const diagnosed = diagnose(lastPart(driver.logFile(path, step.attempts.length)), failure);
      await driver.emit({ type: 'step.attempt_failed', step: path, failure: diagnosed });
      const verdict = await this.healOnce(step, diagnosed, active);
      if (active.abort.signal.aborted) return void driver.emit({ type: 'step.cancelled', step: path });
      if (verdict.kind === 'ask')
        return void driver.emit({ type: 'step.waiting', step: path, on: 'human', question: verdict.question });
      await driver.emit({ type: 'step.started', step: path, attempt: step.attempts.length + 1 });
    }
  }

  /** A person agreed to a fix: it is applied before the step runs again. */
  private async applyApproved(step: StepState, active: Active): Promise<'applied' | 'asked'> {
    const before = step.attempts.length - 1;
    const failure = step.attempts[before - 1]?.failure;
    if (!failure) return 'applied';
    const diagnosed = diagnose(lastPart(this.driver.logFile(step.path, before)), failure);
    const verdict = await this.healOnce(step, diagnosed, active);
    if (verdict.kind === 'retry') return 'applied';
    await this.driver.emit({ type: 'step.waiting', step: step.path, on: 'human', question: verdict.question });
    return 'asked';
  }

  private healOnce(step: StepState, failure: ReturnType<typeof diagnose>, active: Active) {
    const { driver } = this;
    const { path } = step;
    let parts = 0;
    const env = this.tryEnv(step);
    return heal(failure, PLAYBOOKS, {
      policy: step.step.heal!,
      workspace: driver.parts.workspace,
      cwd: this.cwd(step),
      step: step.step,
      env,
      now: () => driver.now(),
      session: () => step.healing,
      begin: (finding) =>
        driver.emit({ type: 'heal.begun', step: path, errorType: finding.type, message: finding.message }),
      act: (action) => driver.emit({ type: 'heal.acted', step: path, action }),
      exec: async (file, args) => {
        const name = `heal${parts++}`;
        const log = `${driver.logFile(path, step.attempts.length).slice(0, -4)}.${name}.log`;
        const end = await this.runJob(step, active, name, {
          command: { kind: 'exec', file, args },
          cwd: this.cwd(step),
          env,
          log,
          grace: driver.parts.settings.killGrace,
        });
        return { code: end.code, output: lastPart(log) + (end.message ?? '') };
      },
      ports: {
        listener: (port) => {
          const pid = listenerOf(port);
          if (pid === undefined) return undefined;
          const run = runOf(pid);
          return { pid, ours: run !== undefined && run !== driver.parts.runId && !this.isDriven(run) };
        },
        endOrphan: async (pid, port) => {
          const run = runOf(pid);
          if (run !== undefined) await endProcessesOfRun(run);
          return !(await accepts(port));
        },
        freePort,
      },
    });
  }

  private isDriven(run: string): boolean {
    return this.driver.parts.store.leaseHolder(run, Date.now(), isAlive) !== undefined;
  }

  /** The port of a service: the same for whoever joins the attempt after a crash. */
  private async portOf(step: StepState): Promise<number | undefined> {
    const { port } = step.step;
    if (step.healing?.port !== undefined) return step.healing.port;
    if (port !== 'auto') return port;
    const note = join(this.driver.folder(), `${fileName(step.path)}.${step.attempts.length}.port`);
    if (existsSync(note)) return Number(readFileSync(note, 'utf8'));
    const chosen = await freePort();
    writeFileSync(note, String(chosen));
    return chosen;
  }

  private tryEnv(step: StepState): Record<string, string> {
    try {
      return this.env(step, undefined).env;
    } catch {
      return {};
    }
  }

  private async attempt(step: StepState, active: Active): Promise<StationResult> {
    const talk = this.claimTalk(step);
    let context: StationContext;
    try {
      await this.mount(step);
      context = this.context(step, active, talk, await this.portOf(step));
    } catch (error) {
      return failed(error instanceof MissingSecret ? 'missing-secret' : 'bad-expression', messageOf(error));
    }
    this.makeLogFolder(dirname(context.log));
    const result = await this.execute(context, step);
    if (result.kind !== 'completed') return result;
    return this.collect(step, talk, result.outputs ?? {});
  }

  private async execute(context: StationContext, step: StepState): Promise<StationResult> {
    const text = describeTask(step.step);
    const execute = () => this.withinTime(context, this.executeStation(context));
    const result = await this.driver.parts.handlers.functional({ path: step.path, step: step.step, text, execute });
    return result.kind === 'ask' ? failed('not-possible', 'a function cannot ask a person; use an `ask` step') : result;
  }

  /** Jobs are timed by the runner; a station that only waits is timed here. */
  private async withinTime(context: StationContext, work: Promise<StationResult>): Promise<StationResult> {
    const { timeout, action } = context.step;
    if (timeout === undefined || action !== 'use') return work;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<StationResult>((resolve) => {
      const message = `station "${String(context.step.subject)}" took longer than ${timeout} ms`;
      timer = setTimeout(() => resolve(failed('timeout', message)), Math.min(timeout + context.grace, 2 ** 31 - 1));
    });
    const result = await Promise.race([work, late]);
    clearTimeout(timer);
    return result;
  }

  private executeStation(context: StationContext): Promise<StationResult> {
    switch (context.step.action) {
      case 'run':
        return executeShell(context);
      case 'python':
        return executePython(context);
      case 'launch':
        return executeLaunch(context);
      default: {
        const name = String(context.step.subject);
        const station = this.driver.parts.registry.get(name);
        if (!station)
          return Promise.resolve(failed('unknown-station', `station "${name}" is gone since the run was planned`));
        return station
          .execute(context)
          .catch((error: unknown) => failed('station-threw', `station "${name}" threw: ${messageOf(error)}`));
      }
    }
  }

  private cwd(step: StepState): string {
    return step.step.cwd === undefined ? this.driver.parts.workspace : join(this.driver.parts.workspace, step.step.cwd);
  }

  /** The step's own environment, and the secrets in it. @throws Error with one sentence */
  private env(step: StepState, port: number | undefined): { env: Record<string, string>; secrets: string[] } {
    const used: string[] = [];
    const extra = port === undefined ? {} : { port };
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...step.scope.plan.env, ...step.step.env })) {
      if (!hasExpression(value)) {
        env[name] = value;
        continue;
      }
      const names = [...value.matchAll(/\bsecrets\s*\.\s*([A-Za-z_]\w*)/g)].map((match) => match[1]!);
      const own = Object.fromEntries(names.map((secret) => [secret, this.secretValue(secret, used)]));
      env[name] = textForm(this.resolve(step, value, names.length > 0 ? { ...extra, secrets: own } : extra));
    }
    if (step.healing?.port !== undefined && env['PORT'] !== undefined) env['PORT'] = String(step.healing.port);
    return { env, secrets: used };
  }

  private secretValue(name: string, used: string[]): string {
    if (!this.driver.state.plan.secrets.includes(name)) {
      throw new MissingSecret(`secret ${name} must be listed under \`secrets\` of the workflow that was started, too`);
    }
    const value = this.secrets.get(name);
    if (value === undefined)
      throw new MissingSecret(`secret ${name} has no value; set the environment variable ${name} and resume`);
    used.push(value);
    return value;
  }

  private context(step: StepState, active: Active, talk: TalkBack, port: number | undefined): StationContext {
    const { driver } = this;
    const { runId, workspace, settings } = driver.parts;
    const number = step.attempts.length;
    const { env: own, secrets } = this.env(step, port);
    const env = {
      ...own,
      ...talk.env(),
      STATIONMASTER_RUN_ID: runId,
      STATIONMASTER_STEP_ID: step.path,
      STATIONMASTER_ATTEMPT: String(number),
      STATIONMASTER_IDEMPOTENCY_KEY: `${runId}:${step.path}:${step.execution}`,
    };
    const log = driver.logFile(step.path, number);
    const run = (command: Job['command'], options: JobOptions = {}): Promise<JobEnd> => {
      const { part, timeout = this.timeLeft(step) } = options;
      return this.runJob(step, active, part, {
        command,
        cwd: this.cwd(step),
        env: { ...env, ...options.env },
        log: part === undefined ? log : partLog(log, part),
        grace: settings.killGrace,
        note: talk.folder,
        ...(timeout === undefined || options.service ? {} : { timeout }),
        ...(secrets.length > 0 ? { secrets } : {}),
        ...(options.service ? { service: true } : {}),
      }).then(async (end) => {
        if (part !== undefined) await appendLog(log, partLog(log, part));
        return end;
      });
    };
    return {
      runId,
      path: step.path,
      step: step.step,
      attempt: number,
      with: this.resolve(step, step.step.with) as JsonObject,
      workspace,
      cwd: this.cwd(step),
      env,
      log,
      signal: active.abort.signal,
      grace: settings.killGrace,
      joins: driver.parts.runner.adoptedOf(`${step.path}#${number}`),
      baseline: driver.state.options.baseline ?? [],
      ...(port === undefined ? {} : { port }),
      producedFiles: () => this.producedFiles(),
      scratch: () => {
        const folder = join(driver.folder(), `${fileName(step.path)}.${step.execution}.scratch`);
        mkdirSync(folder, { recursive: true });
        return folder;
      },
      run,
      resolve: (value, extra) => resolveValue(value, this.scope(step, extra)),
      keepService: (jobId, port) => this.watchService(step.path, jobId, port),
      mask: (text) => this.masker.mask(text),
    };
  }

  private async runJob(step: StepState, active: Active, part: string | undefined, job: Job): Promise<JobEnd> {
    const id = `${step.path}#${step.attempts.length}${part === undefined ? '' : `:${part}`}`;
    if (active.abort.signal.aborted) return { code: 143, because: 'stopped' };
    active.jobs.add(id);
    const ids = this.unacknowledged.get(step.path);
    if (ids) ids.add(id);
    else this.unacknowledged.set(step.path, new Set([id]));
    const end = await this.driver.parts.runner.run(id, job);
    active.jobs.delete(id);
    return end;
  }

  /** The step's time is for the whole attempt, whatever jobs it consists of and whoever began it. */
  private timeLeft(step: StepState): number | undefined {
    const { timeout } = step.step;
    const attempt = step.attempts[step.attempts.length - 1];
    if (timeout === undefined || !attempt) return timeout;
    return Math.max(1, timeout - Math.max(0, this.driver.now() - attempt.startedAt));
  }

  private watchService(step: string, jobId: string, port: number | undefined): void {
    this.services.set(step, { step, jobId, port, restarts: [] });
    void this.driver.parts.runner.run(jobId, {} as Job).then((end) => {
      if (this.stopping || this.services.get(step)?.jobId !== jobId) return;
      this.services.delete(step);
      const message = `the service ended by itself with exit code ${end.code} after it was ready`;
      void this.driver.emit({
        type: 'service.crashed',
        step,
        failure: { reason: 'service-crashed', message, exitCode: end.code },
      });
    });
  }

  private producedFiles(): string[] {
    const files = new Set<string>();
    for (const { artifacts, healing } of this.driver.state.steps.values()) {
      for (const artifact of artifacts) if (artifact.path !== '') files.add(artifact.path);
      for (const action of healing?.actions ?? []) for (const file of action.changed) files.add(file);
    }
    return [...files];
  }

  private async mount(step: StepState): Promise<void> {
    const { parts, state } = this.driver;
    for (const [path, reference] of Object.entries(step.step.mount)) {
      const [, id = '', name = '', version] = /^([^.]+)\.([^.@]+)(?:@(\d+))?$/.exec(reference) ?? [];
      const prefix = step.scope.path === '' ? '' : `${step.scope.path}/`;
      const artifact = state.steps
        .get(prefix + id)
        ?.artifacts.find(
          (candidate) => candidate.name === name && (version === undefined || candidate.version === Number(version)),
        );
      if (!artifact) throw new Error(`"${reference}" cannot be mounted: step "${id}" did not produce it`);
      const target = join(parts.workspace, path);
      mkdirSync(dirname(target), { recursive: true });
      if (existsSync(target) && !(await this.isOurs(target, artifact))) {
        throw new Error(
          `"${reference}" cannot be mounted: ${path} exists and holds something else; move it away or mount elsewhere`,
        );
      }
      await copyFile(parts.blobs.path(artifact.sha256), target);
    }
  }

  /** Whether a file holds what this run put there: any version of a product it knows (invariant 11). */
  private async isOurs(file: string, artifact: Artifact): Promise<boolean> {
    const sha256 = await this.driver.parts.blobs.putFile(file);
    if (sha256 === artifact.sha256) return true;
    for (const { artifacts } of this.driver.state.steps.values())
      if (artifacts.some((other) => other.sha256 === sha256)) return true;
    return false;
  }

  private async collect(
    step: StepState,
    talk: TalkBack,
    own: Outputs,
  ): Promise<StationResult & { artifacts?: Artifact[] }> {
    const { produces, outputs: declared } = step.step;
    const expectsNothing = Object.keys(produces).length === 0 && Object.keys(declared).length === 0;
    if (expectsNothing && talk.isSilent()) return { kind: 'completed', outputs: own };
    const said = talk.outputs();
    if (!said.ok) return failed('bad-output', said.failure.message);
    const outputs: Record<string, unknown> = { ...own };
    for (const [name, text] of Object.entries(said.value)) {
      const field = step.step.outputs[name];
      const value = field ? fieldFromText(text, field) : text;
      if (value === undefined)
        return failed('bad-output', `output "${name}" is not of type ${field!.type}: ${text.slice(0, 80)}`);
      outputs[name] = maskValue(value, this.masker);
    }
    for (const name of Object.keys(step.step.outputs)) {
      if (outputs[name] === undefined)
        return failed(
          'missing-output',
          `output "${name}" is declared, and the step did not write it to STATIONMASTER_OUTPUT`,
        );
    }
    const sources = [
      ...Object.entries(step.step.produces).map(([name, path]) => {
        const resolved = textForm(resolveValue(path, this.scope(step)));
        return { name, path: resolved, file: join(this.driver.parts.workspace, resolved) };
      }),
      ...talk.artifacts().map(({ name, file }) => ({ name, path: '', file })),
    ];
    const artifacts: Artifact[] = [];
    for (const { name, path, file } of sources) {
      if (!existsSync(file))
        return failed('missing-product', `product "${name}" was not produced: ${path} does not exist`);
      if (this.secrets.size > 0 && this.masker.finds(await readText(file))) {
        return failed('secret-in-artifact', `product "${name}" holds the value of a secret and was not stored`);
      }
      const version = (this.driver.state.artifactVersions.get(`${step.path}/${name}`) ?? 0) + 1;
      artifacts.push({
        name,
        path,
        sha256: await this.driver.parts.blobs.putFile(file),
        bytes: (await stat(file)).size,
        version,
      });
    }
    return { kind: 'completed', outputs, artifacts };
  }

  private complete(step: StepState, result: { outputs?: Outputs; artifacts?: Artifact[] }): void {
    const { outputs, artifacts } = result;
    const detail = {
      step: step.path,
      ...(outputs && Object.keys(outputs).length > 0 ? { outputs } : {}),
      ...(artifacts && artifacts.length > 0 ? { artifacts } : {}),
    };
    const last = step.healing?.actions[step.healing.actions.length - 1];
    if (last?.outcome === 'applied') {
      void this.driver.emit({
        type: 'heal.acted',
        step: step.path,
        action: { ...last, description: 'the step completed after the fix', changed: [], outcome: 'resolved' },
      });
    }
    const told = this.driver.emit({ type: step.step.review ? 'step.reviewing' : 'step.completed', ...detail });
    // Only when the journal has it: whoever takes over before that reads the same files again.
    void told.then(() => this.releaseTalk(step));
  }

  private makeLogFolder(folder: string): void {
    if (this.logFolders.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    this.logFolders.add(folder);
  }

  /** A folder to talk back through: that of the predecessor for an attempt that is joined, else one that is free. */
  private claimTalk(step: StepState): TalkBack {
    const folder = this.driver.parts.runner.noteOf(`${step.path}#${step.attempts.length}`);
    const talk =
      folder === undefined
        ? (this.freeTalks.pop() ?? TalkBack.make(join(this.driver.folder(), `talk-${randomUUID()}`)))
        : new TalkBack(folder);
    this.talks.set(step.path, talk);
    return talk;
  }

  private releaseTalk(step: StepState): void {
    const talk = this.talks.get(step.path);
    if (!talk) return;
    this.talks.delete(step.path);
    if (talk.isSilent()) this.freeTalks.push(talk);
    else void rm(talk.folder, { recursive: true, force: true });
  }

  /** How far a running step says it is. */
  progress(path: string): { percent: number; text: string } | undefined {
    return this.talks.get(path)?.progress();
  }

  private failStep(step: StepState, failure: StepFailure): void {
    const delay = retryDelay(step.step.retry, step.tries, failure);
    const masked = { ...failure, message: this.masker.mask(failure.message) };
    void this.driver.emit({
      type: 'step.failed',
      step: step.path,
      failure: masked,
      ...(delay === undefined ? {} : { retryAt: this.driver.now() + delay }),
    });
  }
}

class MissingSecret extends Error {}

function toList(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'string') return undefined;
  // Outputs are text; a list is written there as JSON.
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function maskValue(value: unknown, masker: Masker): unknown {
  return typeof value === 'string' ? masker.mask(value) : (JSON.parse(masker.mask(JSON.stringify(value))) as unknown);
}

async function readText(file: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(file, 'latin1');
}

function partLog(log: string, part: string): string {
  return `${log.slice(0, -4)}.${part}.part`;
}

/** The logs of an attempt's parts follow each other in one file. */
async function appendLog(log: string, part: string): Promise<void> {
  if (!existsSync(part)) return;
  const { pipeline } = await import('node:stream/promises');
  const { createReadStream, createWriteStream } = await import('node:fs');
  await pipeline(createReadStream(part), createWriteStream(log, { flags: 'a' }));
  await rm(part, { force: true });
}
