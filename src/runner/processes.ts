import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Processes by group, the leaders left out. Only groups asked for. */
export function membersOf(groups: ReadonlySet<number>): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const { pid, group } of process.platform === 'linux' ? fromProc() : fromPs()) {
    if (!groups.has(group) || pid === group) continue;
    found.set(group, [...(found.get(group) ?? []), pid]);
  }
  return found;
}

function* fromProc(): Iterable<{ pid: number; group: number }> {
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 40).split(' ');
      if (fields[0] !== 'Z') yield { pid, group: Number(fields[2]) };
    } catch {
      // It ended while we looked.
    }
  }
}

function* fromPs(): Iterable<{ pid: number; group: number }> {
  const text = execFileSync('ps', ['-axo', 'pid=,pgid='], { encoding: 'utf8' });
  for (const line of text.split('\n')) {
    const [pid, group] = line.trim().split(/\s+/).map(Number);
    if (pid && group) yield { pid, group };
  }
}
