import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileName, logFile } from '../../engine/node/driver.ts';
import type { Engine } from '../../engine/node/engine.ts';
import type { RunRow } from '../../engine/node/store.ts';
import { LogTail } from '../../engine/stations/log-tail.ts';
import { type Command, flag, text } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withRun } from '../open.ts';
import { err, out, styleFor } from '../terminal.ts';

export const logsCommand: Command = {
  summary: 'Print the log of a step, or of all steps.',
  usage: '<run> [step] [--attempt n] [--follow]',
  details: `
Streams logs of any size. With --follow it goes on while the run does, also when another process drives it.

  stationmaster logs m3k build --follow`,
  options: { follow: { type: 'boolean', short: 'f' }, attempt: { type: 'string' } },
  optionHelp: { follow: 'Go on while the log grows, until the run ends.', attempt: 'Which attempt (the last).' },
  positionals: [1, 2],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const [, step] = positionals;
      const { state } = engine.load(run);
      if (step !== undefined && !state.steps.has(step)) {
        err(
          `stationmaster: run ${run.id} has no step "${step}"; it has ${[...state.steps.keys()].slice(0, 20).join(', ')}`,
        );
        return EXIT.usage;
      }
      if (flag(values, 'follow')) return follow(engine, run, step);
      const files =
        step === undefined
          ? allLogs(engine, run)
          : [stepLog(engine, run, step, Number(text(values, 'attempt') ?? state.steps.get(step)!.attempts.length))];
      for (const { file, title } of files) {
        if (!existsSync(file)) continue;
        if (files.length > 1) out(styleFor(process.stdout).bold(`── ${title} ──`));
        await pipeline(createReadStream(file), process.stdout, { end: false });
      }
      return 0;
    }),
};

function stepLog(engine: Engine, run: RunRow, step: string, attempt: number) {
  return { file: logFile(engine.store, run.id, step, attempt), title: `${step} attempt ${attempt}` };
}

function allLogs(engine: Engine, run: RunRow): { file: string; title: string }[] {
  const folder = join(engine.store.folder, 'logs', run.id);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'));
  const files = names.map((name) => ({
    file: join(folder, name),
    title: name.slice(0, -4).replaceAll('~', '/'),
    at: statSync(join(folder, name)).birthtimeMs,
  }));
  return files.sort((a, b) => a.at - b.at);
}

/** Prints what is added to the logs until the run ends. */
async function follow(engine: Engine, run: RunRow, step: string | undefined): Promise<number> {
  const tails = new Map<string, LogTail>();
  const folder = join(engine.store.folder, 'logs', run.id);
  for (;;) {
    const row = engine.store.run(run.id);
    const over =
      row === undefined || ['completed', 'failed', 'cancelled'].includes(row.status) || !engine.isDriven(run.id);
    const names = existsSync(folder)
      ? readdirSync(folder).filter(
          (name) => name.endsWith('.log') && (step === undefined || name.startsWith(`${fileName(step)}.`)),
        )
      : [];
    for (const name of names.sort()) {
      let tail = tails.get(name);
      if (!tail) {
        tail = new LogTail(join(folder, name));
        tails.set(name, tail);
        if (step === undefined) out(styleFor(process.stdout).bold(`── ${name.slice(0, -4).replaceAll('~', '/')} ──`));
      }
      for (let bytes = tail.readBytes(); bytes.length > 0; bytes = tail.readBytes()) {
        // Back pressure: a slow reader is waited for.
        if (!process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once('drain', resolve));
      }
    }
    if (over) return 0;
    await sleep(100);
  }
}
