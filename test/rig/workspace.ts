import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { processesOfRun } from '../../src/engine/node/orphans.ts';

const BIN = join(import.meta.dirname, '../../dist/stationmaster.mjs');

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Summary {
  readonly type: string;
  readonly run: string;
  readonly status: string;
  readonly message?: string;
  readonly steps: Record<
    string,
    {
      status: string;
      attempts: number;
      outputs: Record<string, unknown>;
      failure?: { type: string; reason: string; message: string };
      skipped?: { because: string; blocked_by?: string[] };
      artifacts?: { name: string; version: number; sha256: string }[];
      healing?: {
        iterations: number;
        actions: { playbook?: string; outcome: string; description: string; error_type: string }[];
      };
    }
  >;
  readonly questions: { step: string; text: string; options: string[] }[];
}

/** A temporary workspace in which the real command line runs as a person's terminal would run it. */
export class Workspace {
  readonly path: string;
  readonly env: Record<string, string>;
  private readonly root: string;

  constructor(files: Readonly<Record<string, string>> = {}, name = 'workspace') {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'sm-')));
    this.path = join(this.root, name);
    mkdirSync(this.path, { recursive: true });
    this.env = {
      ...(process.env as Record<string, string>),
      NO_COLOR: '1',
      STATIONMASTER_ORPHAN_GRACE: '3000',
      STATIONMASTER_KILL_GRACE: '1000',
    };
    for (const [file, text] of Object.entries(files)) this.write(file, text);
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.path, file)), { recursive: true });
    writeFileSync(join(this.path, file), text);
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  git(...args: string[]): string {
    const done = spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: this.path,
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(done.stderr);
    return done.stdout;
  }

  start(...args: string[]) {
    const child = spawn(process.execPath, ['--no-warnings', BIN, ...args], {
      cwd: this.path,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<CommandResult>((resolve) =>
      child.on('close', (code) => resolve({ code, stdout, stderr })),
    );
    return { child, ended, output: () => stdout };
  }

  cli(...args: string[]): Promise<CommandResult> {
    return this.start(...args).ended;
  }

  /** Runs a workflow with --json and gives its last object. */
  async run(text: string, ...args: string[]): Promise<Summary & { code: number | null; stderr: string }> {
    this.write('test.workflow.yaml', text);
    return this.summaryOf(await this.cli('run', 'test.workflow.yaml', '--json', '--no-ask', ...args));
  }

  async json(...args: string[]): Promise<Summary & { code: number | null; stderr: string }> {
    return this.summaryOf(await this.cli(...args, '--json'));
  }

  private summaryOf(result: CommandResult): Summary & { code: number | null; stderr: string } {
    const lines = result.stdout.trim().split('\n');
    try {
      return { ...(JSON.parse(lines[lines.length - 1]!) as Summary), code: result.code, stderr: result.stderr };
    } catch {
      throw new Error(`no summary came (exit ${result.code}):\n${result.stdout}\n${result.stderr}`);
    }
  }

  async log(run: string, step: string): Promise<string> {
    return (await this.cli('logs', run, step)).stdout;
  }

  leftovers(run: string): number[] {
    return processesOfRun(run).map(({ pid }) => pid);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Waits until something is true; fails after ten seconds. */
export async function until<Value>(
  what: string,
  ask: () => Value | undefined | false | Promise<Value | undefined | false>,
  limit = 10_000,
): Promise<Value> {
  const deadline = performance.now() + limit;
  for (;;) {
    const value = await ask();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`it never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
