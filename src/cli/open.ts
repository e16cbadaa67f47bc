import { Engine } from '../engine/node/engine.ts';
import type { RunRow } from '../engine/node/store.ts';
import { EXIT } from './exit-codes.ts';
import { err } from './terminal.ts';

/** Opens the workspace's engine for a command, and closes it after it. Failures become one line and exit code 1. */
export async function withEngine(workspace: string, work: (engine: Engine) => Promise<number>): Promise<number> {
  const engine = Engine.open(workspace);
  if (!engine.ok) {
    err(`stationmaster: ${engine.failure.message}`);
    return EXIT.failed;
  }
  try {
    return await work(engine.value);
  } finally {
    engine.value.close();
  }
}

export async function withRun(
  workspace: string,
  prefix: string,
  work: (engine: Engine, run: RunRow) => Promise<number>,
): Promise<number> {
  return withEngine(workspace, async (engine) => {
    const run = engine.find(prefix);
    if (run.ok) return work(engine, run.value);
    err(`stationmaster: ${run.failure.message}`);
    return EXIT.usage;
  });
}

export function complain(failure: { readonly reason: string; readonly message: string }): number {
  err(`stationmaster: ${failure.message}`);
  return failure.reason === 'bad-input' || failure.reason === 'no-such-file' || failure.reason === 'no-such-step'
    ? EXIT.usage
    : EXIT.failed;
}
