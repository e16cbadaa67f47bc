import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * When a process started, in a form that only serves comparison: a pid may be reused, a pid with its start time is not.
 * Undefined when there is no such process.
 */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie has ended; nobody has noticed yet.
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
    } catch {
      return undefined;
    }
  }
  try {
    if (process.platform === 'win32') {
      process.kill(pid, 0);
      return 'alive';
    }
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** `pid@start` of this process: what leases and records name an owner by. */
export function ownIdentity(): string {
  return `${process.pid}@${startTimeOf(process.pid) ?? ''}`;
}

export function isAlive(identity: string): boolean {
  const [pid, start] = identity.split('@');
  return startTimeOf(Number(pid)) === start;
}
