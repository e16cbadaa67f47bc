import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTimeOf } from '../../system/process-identity.ts';

/*
 * Every process of a run inherits STATIONMASTER_RUN_ID. What a run left behind is found by that mark in a process's own
 * environment, which no reused pid can carry by accident, and is ended only while its start time stays the same.
 */

interface Found {
  readonly pid: number;
  readonly start: string;
}

/** Processes that carry the mark of a run, this one left out. */
export function processesOfRun(run: string): Found[] {
  const mark = `STATIONMASTER_RUN_ID=${run}`;
  return candidates(mark).flatMap((pid) => {
    const start = pid === process.pid ? undefined : startTimeOf(pid);
    return start === undefined ? [] : [{ pid, start }];
  });
}

function candidates(mark: string): number[] {
  if (process.platform === 'linux') {
    return readdirSync('/proc').flatMap((name) => {
      const pid = Number(name);
      return Number.isInteger(pid) && environmentOf(pid).includes(mark) ? [pid] : [];
    });
  }
  if (process.platform === 'win32') return [];
  try {
    const text = execFileSync('ps', ['-axeww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 64_000_000 });
    return text.split('\n').flatMap((line) => (line.split(/\s+/).includes(mark) ? [Number.parseInt(line, 10)] : []));
  } catch {
    return [];
  }
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Ends everything a run left behind, TERM then KILL; gives what was ended. */
export async function endProcessesOfRun(run: string, grace = 2_000): Promise<number[]> {
  const ended = new Set<number>();
  const deadline = performance.now() + grace;
  for (let signal: NodeJS.Signals = 'SIGTERM', round = 0; round < 500; round++) {
    const left = processesOfRun(run);
    if (left.length === 0) break;
    if (performance.now() > deadline) signal = 'SIGKILL';
    for (const { pid, start } of left) {
      if (signal === 'SIGTERM' && ended.has(pid)) continue;
      ended.add(pid);
      if (startTimeOf(pid) === start) signalQuietly(pid, signal);
    }
    await sleep(20);
  }
  return [...ended];
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

/** The run that started a process, by its mark. */
export function runOf(pid: number): string | undefined {
  const prefix = 'STATIONMASTER_RUN_ID=';
  return environmentOf(pid)
    .find((line) => line.startsWith(prefix))
    ?.slice(prefix.length);
}

/** The process that listens on a TCP port of this machine, when it can be told. */
export function listenerOf(port: number): number | undefined {
  return process.platform === 'linux' ? listenerFromProc(port) : listenerFromLsof(port);
}

function listenerFromProc(port: number): number | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    try {
      for (const line of readFileSync(table, 'latin1').split('\n').slice(1)) {
        const fields = line.trim().split(/\s+/);
        // State 0A is LISTEN.
        if (fields[1]?.endsWith(`:${wanted}`) && fields[3] === '0A') inodes.add(`socket:[${fields[9]}]`);
      }
    } catch {
      // No IPv6 here.
    }
  }
  if (inodes.size === 0) return undefined;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      for (const descriptor of readdirSync(`/proc/${name}/fd`)) {
        if (inodes.has(readlinkSync(`/proc/${name}/fd/${descriptor}`))) return Number(name);
      }
    } catch {
      // Not ours to look into, or gone.
    }
  }
  return undefined;
}

function listenerFromLsof(port: number): number | undefined {
  try {
    const text = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number.parseInt(text, 10) || undefined;
  } catch {
    return undefined;
  }
}
