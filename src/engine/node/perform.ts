import { existsSync } from 'node:fs';
import { isObject, type JsonObject } from '../../base/json.ts';
import { messageOf } from '../../base/result.ts';
import { textForm } from '../../language/expression/resolve.ts';
import { renderDiagnostics } from '../../language/text.ts';
import { parseDuration } from '../../language/values.ts';
import { checkWorkflow } from '../../language/workflow/check.ts';
import { type Plan, resolveInputs, template } from '../../language/workflow/plan.ts';
import { retryDelay } from '../core/decide.ts';
import type { Question, StepFailure } from '../core/events.ts';
import { isGroup, type StepState } from '../core/state.ts';
import { diagnose } from '../healing/heal.ts';
import { assigneeOf, describeTask } from '../stations/handlers.ts';
import { executeLaunch } from '../stations/launch.ts';
import { lastPart } from '../stations/log-tail.ts';
import { executePython } from '../stations/python.ts';
import { executeShell } from '../stations/shell.ts';
import { failed, type StationContext, type StationResult } from '../stations/station.ts';
import { type Collected, collect, mountArtifacts } from './artifacts.ts';
import type { RunDriver } from './driver.ts';
import { healStep } from './heal-step.ts';
import { MissingSecret, Secrets } from './secrets.ts';
import { Services } from './services.ts';
import { WorkspaceSurroundings } from './surroundings.ts';
import { TalkFolders } from './talk-back.ts';
import { type Active, Workbench } from './workbench.ts';

/** Does what the core decided for steps, and tells what came of it as events. */
export class Performer {
  readonly services: Services;
  readonly talks: TalkFolders;
  private readonly driver: RunDriver;
  private readonly secrets: Secrets;
  private readonly bench: Workbench;
  private readonly active = new Map<string, Active>();

  constructor(driver: RunDriver) {
    this.driver = driver;
    this.secrets = new Secrets(driver.state.plan);
    this.services = new Services(driver);
    this.talks = new TalkFolders(() => driver.folder());
    this.bench = new Workbench(driver, this.secrets, this.services);
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
    this.bench.settled(path);
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

  private async performGroup(step: StepState): Promise<void> {
    const { driver } = this;
    if (step.step.forEach !== undefined && !step.isInstance) {
      const items = toList(this.bench.resolve(step, step.step.forEach));
      if (!items) return driver.fail(step.path, { reason: 'bad-list', message: '"for_each" did not give a list' });
      return void driver.emit({ type: 'step.expanded', step: step.path, items });
    }
    const given = this.bench.resolve(step, step.step.with) as JsonObject;
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
    const source = textForm(this.bench.resolve(step, step.step.subject));
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
      text: this.secrets.mask(textForm(this.bench.resolve(step, ask['question']))),
      options,
      ...(isObject(ask['fields']) ? { fields: ask['fields'] } : {}),
      ...(timeout === undefined ? {} : { deadline: this.driver.now() + timeout }),
      ...(typeof ask['on_timeout'] === 'string' ? { onTimeout: ask['on_timeout'] } : {}),
    };
    void this.driver.emit({ type: 'step.waiting', step: step.path, on: 'human', question });
  }

  /** What a task is in words: the rendered prompt, or what the step says of itself. @throws Error with one sentence */
  private async taskText(step: StepState): Promise<string> {
    if (step.step.action !== 'prompt') return this.secrets.mask(describeTask(step.step));
    const { checkPrompt, renderPrompt } = await import('../../language/prompt/check.ts');
    const source = step.scope.plan.prompts[String(step.step.subject)] ?? '';
    const text = renderPrompt(checkPrompt(source), this.bench.resolve(step, step.step.with) as JsonObject);
    return this.secrets.mask(text.trim());
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
      const verdict = await healStep(step, diagnosed, active, driver, this.bench);
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
    const verdict = await healStep(step, diagnosed, active, this.driver, this.bench);
    if (verdict.kind === 'retry') return 'applied';
    await this.driver.emit({ type: 'step.waiting', step: step.path, on: 'human', question: verdict.question });
    return 'asked';
  }

  private async attempt(step: StepState, active: Active): Promise<Collected> {
    const { driver, bench } = this;
    const talk = this.talks.claim(step.path, driver.parts.runner.noteOf(`${step.path}#${step.attempts.length}`));
    const cwd = bench.cwd(step);
    if (step.step.cwd !== undefined && !existsSync(cwd))
      return failed('missing-folder', `the folder ${step.step.cwd}, given as \`cwd\`, does not exist`);
    try {
      await mountArtifacts(step, driver);
      const context = bench.context(step, active, talk, await bench.portOf(step));
      const result = await this.execute(context, step);
      if (result.kind !== 'completed') return result;
      return await collect(step, talk, result.outputs ?? {}, driver, this.secrets);
    } catch (error) {
      return failed(error instanceof MissingSecret ? 'missing-secret' : 'bad-expression', messageOf(error));
    }
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

  private complete(step: StepState, result: Collected & { kind: 'completed' }): void {
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
    void told.then(() => this.talks.release(step.path));
  }

  private failStep(step: StepState, failure: StepFailure): void {
    const delay = retryDelay(step.step.retry, step.tries, failure);
    const masked = { ...failure, message: this.secrets.mask(failure.message) };
    void this.driver.emit({
      type: 'step.failed',
      step: step.path,
      failure: masked,
      ...(delay === undefined ? {} : { retryAt: this.driver.now() + delay }),
    });
  }
}

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
