import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { Masker } from '../base/masking.ts';
import type { Job, ShellName } from '../protocol/runner.ts';

/** A job in a process, and process group, of its own. */
export interface FreshProcess {
  readonly pid: number | undefined;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

const SHELL_ARGUMENTS: Readonly<Record<ShellName, readonly string[]>> = {
  sh: ['-ec'],
  bash: ['-ec'],
  pwsh: ['-NoLogo', '-NoProfile', '-NonInteractive', '-Command'],
  cmd: ['/d', '/s', '/c'],
};

/**
 * Starts a job. Output goes straight into the log's descriptor; only a job with secrets passes through a masking filter.
 * Whatever the job left in its group is ended when it ends.
 */
export function startFresh(
  job: Job,
  env: NodeJS.ProcessEnv,
  done: (end: { code: number; error?: string }) => void,
): FreshProcess {
  const { command } = job;
  const [file, args] =
    command.kind === 'shell'
      ? [command.shell, [...SHELL_ARGUMENTS[command.shell], command.script]]
      : [command.file, [...command.args]];
  const log = openSync(job.log, 'w');
  const masked = job.secrets !== undefined && job.secrets.length > 0;
  let child: ChildProcess;
  try {
    child = spawn(file, args, {
      cwd: job.cwd,
      env: { ...env, ...job.env },
      detached: process.platform !== 'win32',
      windowsHide: true,
      stdio: ['ignore', masked ? 'pipe' : log, masked ? 'pipe' : log],
    });
  } catch (error) {
    closeSync(log);
    queueMicrotask(() => done({ code: 127, error: error instanceof Error ? error.message : String(error) }));
    return { pid: undefined, kill: () => {} };
  }
  const flush = masked ? filter(child, job.secrets!, log) : () => {};
  const kill = (signal: 'SIGTERM' | 'SIGKILL') => killGroup(child, signal);
  let ended = false;
  const finish = (code: number, error?: string) => {
    if (ended) return;
    ended = true;
    flush();
    closeSync(log);
    done(error === undefined ? { code } : { code, error });
  };
  child.on('error', (error) => finish(127, `${file} could not be started in ${job.cwd}: ${error.message}`));
  child.on('exit', (code, signal) => {
    killGroup(child, 'SIGKILL');
    const value = code ?? 128 + (signal ? constants.signals[signal] : 0);
    if (!masked) finish(value);
    // What it left in the group is gone, so the pipes close.
    else child.on('close', () => finish(value));
  });
  return { pid: child.pid, kill };
}

function filter(child: ChildProcess, secrets: readonly string[], log: number): () => void {
  const maskers = [child.stdout!, child.stderr!].map((stream) => {
    const masker = new Masker(secrets);
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => writeSync(log, masker.push(text)));
    return masker;
  });
  return () => {
    for (const masker of maskers) writeSync(log, masker.flush());
  };
}

function killGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') spawn('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
    else process.kill(-child.pid, signal);
  } catch {
    // The group is gone.
  }
}
