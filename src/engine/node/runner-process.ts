import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A runner that was started and not yet told what for. It ends by itself when its host goes away before that. */
export interface RunnerProcess {
  readonly run: string;
  readonly child: ChildProcess;
  readonly socket: string;
  readonly token: string;
}

/** Sortable by time, short enough to type a prefix of. */
export function newRunId(): string {
  return `${Date.now().toString(36)}${randomHex(3)}`;
}

/**
 * Starts the runner of a run. This is the one process that a host ever starts; a command line does so before it has even
 * loaded its own code, so that both are ready at the same time.
 */
export function spawnRunner(run: string, without: readonly string[] = []): RunnerProcess {
  const token = randomHex(16);
  const socket = socketPath(run);
  const env: NodeJS.ProcessEnv = { ...process.env, STATIONMASTER_RUN_ID: run, ELECTRON_RUN_AS_NODE: '1' };
  for (const name of without) delete env[name];
  const child = spawn(process.execPath, ['--no-warnings', runnerProgram(), socket, token], {
    env,
    // A group of its own: Ctrl-C at the terminal is for the host, which then ends what must end.
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  // A runner that cannot be started shows as one that died; an error without a listener would end the host.
  child.on('error', () => {});
  child.stdin!.on('error', () => {});
  return { run, child, socket, token };
}

/**
 * Random bytes from the system's own source. Node's crypto module takes milliseconds to come up, and this runs before anything
 * else can.
 */
function randomHex(bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  if (process.platform === 'win32') return Buffer.from(crypto.getRandomValues(buffer)).toString('hex');
  const source = openSync('/dev/urandom', 'r');
  try {
    for (let read = 0; read < bytes; ) read += readSync(source, buffer, read, bytes - read, null);
  } finally {
    closeSync(source);
  }
  return buffer.toString('hex');
}

/** Sockets live in the folder for temporary files: their paths may have a hundred characters and no more. */
function socketPath(run: string): string {
  const name = `${run}-${randomHex(3)}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\stationmaster-${name}`;
  const folder = join(tmpdir().length > 60 ? '/tmp' : tmpdir(), `stationmaster-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, `${name}.sock`);
}

/** The runner's program: beside the bundle, or in the sources. */
function runnerProgram(): string {
  const here = fileURLToPath(import.meta.url);
  return here.endsWith('.ts') ? join(dirname(here), '../../runner/main.ts') : join(dirname(here), 'runner.mjs');
}
