import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { JsonObject } from '../../base/json.ts';
import { containsExpression, resolveValue, textForm } from '../../language/expression/resolve.ts';
import { hasExpression } from '../../language/expression/template.ts';
import type { Job, JobEnd } from '../../protocol/runner.ts';
import { scopeValues } from '../core/scope.ts';
import type { StepState } from '../core/state.ts';
import { freePort } from '../stations/launch.ts';
import type { JobOptions, StationContext } from '../stations/station.ts';
import { producedFiles } from './artifacts.ts';
import { fileName, type RunDriver } from './driver.ts';
import type { Secrets } from './secrets.ts';
import type { Services } from './services.ts';
import type { TalkBack } from './talk-back.ts';

/** A step that is being performed. */
export interface Active {
  readonly abort: AbortController;
  readonly jobs: Set<string>;
}

/** Prepares what a step is executed with: values, environment, port, log, and the jobs it runs. */
export class Workbench {
  private readonly driver: RunDriver;
  private readonly secrets: Secrets;
  private readonly services: Services;
  /** Jobs whose ends the runner keeps until the journal has them, by step. */
  private readonly unacknowledged = new Map<string, Set<string>>();
  private readonly logFolders = new Set<string>();

  constructor(driver: RunDriver, secrets: Secrets, services: Services) {
    this.driver = driver;
    this.secrets = secrets;
    this.services = services;
  }

  /** Resolves the expressions of a value; the scope is only built when there is one. @throws Error with one sentence */
  resolve(step: StepState, value: unknown, extra: Record<string, unknown> = {}): unknown {
    if (!containsExpression(value)) return value;
    return resolveValue(value, scopeValues(this.driver.state, step, this.driver.artifacts, extra));
  }

  cwd(step: StepState): string {
    const { workspace } = this.driver.parts;
    return step.step.cwd === undefined ? workspace : join(workspace, step.step.cwd);
  }

  /** The step's own environment, and the values of the secrets in it. @throws Error with one sentence */
  env(step: StepState, port?: number): { env: Record<string, string>; secrets: string[] } {
    const used = new Set<string>();
    const extra = port === undefined ? {} : { port };
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries({ ...step.scope.plan.env, ...step.step.env })) {
      if (!hasExpression(value)) {
        env[name] = value;
        continue;
      }
      const named = [...value.matchAll(/\bsecrets\s*\.\s*([A-Za-z_]\w*)/g)].map((match) => match[1]!);
      const secrets = Object.fromEntries(named.map((secret) => [secret, this.secrets.value(secret)]));
      for (const secret of Object.values(secrets)) used.add(secret);
      env[name] = textForm(this.resolve(step, value, named.length > 0 ? { ...extra, secrets } : extra));
    }
    if (step.healing?.port !== undefined && env['PORT'] !== undefined) env['PORT'] = String(step.healing.port);
    return { env, secrets: [...used] };
  }

  /** The port of a service: the same for whoever joins the attempt after a crash. */
  async portOf(step: StepState): Promise<number | undefined> {
    const { port } = step.step;
    if (step.healing?.port !== undefined) return step.healing.port;
    if (port !== 'auto') return port;
    const note = join(this.driver.folder(), `${fileName(step.path)}.${step.attempts.length}.port`);
    if (existsSync(note)) return Number(readFileSync(note, 'utf8'));
    const chosen = await freePort();
    writeFileSync(note, String(chosen));
    return chosen;
  }

  /** @throws Error with one sentence when a value cannot be resolved */
  context(step: StepState, active: Active, talk: TalkBack, port: number | undefined): StationContext {
    const { driver } = this;
    const { runId, workspace, settings, runner } = driver.parts;
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
    this.makeLogFolder(dirname(log));
    const run = async (command: Job['command'], options: JobOptions = {}): Promise<JobEnd> => {
      const { part, timeout = this.timeLeft(step) } = options;
      const end = await this.runJob(step, active, part, {
        command,
        cwd: this.cwd(step),
        env: { ...env, ...options.env },
        log: part === undefined ? log : partLog(log, part),
        grace: settings.killGrace,
        note: talk.folder,
        ...(timeout === undefined || options.service ? {} : { timeout }),
        ...(secrets.length > 0 ? { secrets } : {}),
        ...(options.service ? { service: true } : {}),
      });
      if (part !== undefined) await appendLog(log, partLog(log, part));
      return end;
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
      joins: runner.adoptedOf(`${step.path}#${number}`),
      baseline: driver.state.options.baseline ?? [],
      ...(port === undefined ? {} : { port }),
      producedFiles: () => producedFiles(driver),
      scratch: () => this.scratch(step),
      run,
      resolve: (value, extra) => this.resolve(step, value, extra),
      keepService: (jobId, servicePort) => this.services.keep(step.path, jobId, servicePort),
      mask: (text) => this.secrets.mask(text),
    };
  }

  /** Runs a job of a step's attempt, or joins it when a predecessor of this host started it. */
  async runJob(step: StepState, active: Active, part: string | undefined, job: Job): Promise<JobEnd> {
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

  /** What the journal knows the runner need not keep. */
  settled(path: string): void {
    const ids = this.unacknowledged.get(path);
    if (!ids) return;
    this.unacknowledged.delete(path);
    this.driver.parts.runner.acknowledge([...ids]);
  }

  private scratch(step: StepState): string {
    const folder = join(this.driver.folder(), `${fileName(step.path)}.${step.execution}.scratch`);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** The step's time is for the whole attempt, whatever jobs it consists of and whoever began it. */
  private timeLeft(step: StepState): number | undefined {
    const { timeout } = step.step;
    const attempt = step.attempts[step.attempts.length - 1];
    if (timeout === undefined || !attempt) return timeout;
    return Math.max(1, timeout - Math.max(0, this.driver.now() - attempt.startedAt));
  }

  private makeLogFolder(folder: string): void {
    if (this.logFolders.has(folder)) return;
    mkdirSync(folder, { recursive: true });
    this.logFolders.add(folder);
  }
}

function partLog(log: string, part: string): string {
  return `${log.slice(0, -4)}.${part}.part`;
}

/** The logs of an attempt's parts follow each other in one file. */
async function appendLog(log: string, part: string): Promise<void> {
  if (!existsSync(part)) return;
  await pipeline(createReadStream(part), createWriteStream(log, { flags: 'a' }));
  await rm(part, { force: true });
}
