import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { startTimeOf } from './process-identity.ts';

/*
 * The processes that a run started, by pid and start time: written by its runner, read by whoever cleans up after both are
 * gone. Only those that have lived for a moment are worth a line.
 */

/** Adds processes to a record. Not flushed to disk: what a power cut takes from the record it takes from the machine too. */
export function recordProcesses(file: string, pids: readonly number[]): void {
  const lines = pids.flatMap((pid) => {
    const start = startTimeOf(pid);
    return start === undefined ? [] : [`${pid} ${start}\n`];
  });
  if (lines.length > 0) appendFileSync(file, lines.join(''));
}

/** Ends the groups of recorded processes that are still the ones that were recorded. Gives their pids. */
export function endRecorded(file: string): number[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [pid, start] = line.split(' ');
      if (pid === undefined || start === undefined || start === '' || startTimeOf(Number(pid)) !== start) return [];
      try {
        process.kill(process.platform === 'win32' ? Number(pid) : -Number(pid), 'SIGKILL');
      } catch {
        // It ended by itself.
      }
      return [Number(pid)];
    });
}
