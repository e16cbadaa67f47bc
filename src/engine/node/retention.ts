import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RunRow, Store } from './store.ts';

export interface Cleaned {
  readonly runs: number;
  readonly blobs: number;
  readonly bytes: number;
}

/** Removes runs beyond the limits, oldest first, and then blobs that no run refers to. Never a run that has not ended. */
export function clean(
  store: Store,
  limits: { runs: number; age: number; bytes: number },
  now: number,
  dryRun: boolean,
): Cleaned {
  const all = store.runs(Number.MAX_SAFE_INTEGER);
  const ended = all.filter((run) => ['completed', 'failed', 'cancelled'].includes(run.status));
  const sizes = new Map(all.map((run) => [run.id, folderSize(join(store.folder, 'logs', run.id))]));
  let total = [...sizes.values()].reduce((sum, size) => sum + size, 0) + folderSize(join(store.folder, 'blobs'));
  const removed: RunRow[] = [];
  for (const run of [...ended].reverse()) {
    const tooMany = all.length - removed.length > limits.runs;
    const tooOld = now - run.createdAt > limits.age;
    if (!tooMany && !tooOld && total <= limits.bytes) continue;
    removed.push(run);
    total -= sizes.get(run.id)!;
  }
  let bytes = 0;
  for (const run of removed) {
    bytes += sizes.get(run.id)!;
    if (dryRun) continue;
    store.deleteRun(run.id);
    rmSync(join(store.folder, 'logs', run.id), { recursive: true, force: true });
    rmSync(join(store.folder, 'tmp', run.id), { recursive: true, force: true });
  }
  const gone = new Set(removed.map((run) => run.id));
  const blobs = dropBlobs(
    store,
    all.filter((run) => !gone.has(run.id)),
    now,
    dryRun,
  );
  return { runs: removed.length, blobs: blobs.count, bytes: bytes + blobs.bytes };
}

function dropBlobs(
  store: Store,
  kept: readonly RunRow[],
  now: number,
  dryRun: boolean,
): { count: number; bytes: number } {
  const used = new Set<string>();
  for (const run of kept) {
    used.add(run.plan);
    for (const event of store.events(run.id)) {
      if (event.type !== 'step.completed' && event.type !== 'step.reviewing') continue;
      for (const artifact of event.artifacts ?? []) used.add(artifact.sha256);
    }
  }
  const root = join(store.folder, 'blobs');
  let count = 0;
  let bytes = 0;
  for (const name of existsSync(root) ? readdirSync(root, { recursive: true, encoding: 'utf8' }) : []) {
    const file = join(root, name);
    const stat = statSync(file);
    // A young blob may belong to an event that another process is about to write.
    if (!stat.isFile() || used.has(name.slice(-64)) || now - stat.mtimeMs < 3_600_000) continue;
    count++;
    bytes += stat.size;
    if (!dryRun) rmSync(file, { force: true });
  }
  return { count, bytes };
}

function folderSize(folder: string): number {
  if (!existsSync(folder)) return 0;
  let size = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat?.isFile()) size += stat.size;
  }
  return size;
}
