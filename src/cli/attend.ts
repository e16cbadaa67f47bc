import { existsSync } from 'node:fs';
import { isGroup, runStatus, type StepState } from '../engine/core/state.ts';
import type { RunDriver } from '../engine/node/driver.ts';
import { formatDuration } from '../language/values.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { Progress } from './progress.ts';
import { questionsOf, runSummary } from './summary.ts';
import { err, out, plain, styleFor } from './terminal.ts';

export interface AttendOptions {
  readonly json: boolean;
  /** Whether questions are put at the terminal. */
  readonly ask: boolean;
}

/** Stays with a run until it ends or waits for somebody who is not here. Gives the exit code. */
export async function attend(driver: RunDriver, options: AttendOptions): Promise<number> {
  const { runId } = driver.parts;
  const { state } = driver;
  const style = styleFor(process.stdout);
  const interactive = options.ask && !options.json && process.stdin.isTTY === true;
  const progress = new Progress(state, {
    style,
    stream: process.stdout,
    asks: interactive,
    told: (step) => driver.progress(step),
  });
  const stopSignals = onInterrupt(driver);
  let asking: { step: string; abort: AbortController } | undefined;
  const later = new Set<string>();
  // Answers that are on their way into the journal: their questions still look open.
  const sent = new Set<string>();
  const open = () => questionsOf(state).find((step) => !later.has(step.path) && !sent.has(step.path));

  const look = () => {
    if (asking && state.steps.get(asking.step)?.status !== 'waiting') asking.abort.abort();
    if (interactive && !asking) askNext();
    const asks = interactive && (asking !== undefined || sent.size > 0 || open() !== undefined);
    if (runStatus(state) === 'waiting' && !asks) void driver.detach();
  };
  // The terminal's reader is loaded when the first question comes: most runs ask nothing.
  const ask = async (step: StepState, signal: AbortSignal) => {
    const { askAtTerminal } = await import('./ask.ts');
    return askAtTerminal(step.path, step.question!, style, signal);
  };
  const askNext = () => {
    const step = open();
    if (!step) return;
    const abort = new AbortController();
    asking = { step: step.path, abort };
    progress.stop();
    void ask(step, abort.signal).then((answer) => {
      asking = undefined;
      if (answer) {
        sent.add(step.path);
        driver.fulfil({ type: 'answer', step: step.path, answer });
      } else if (!abort.signal.aborted) later.add(step.path);
      progress.start();
      look();
    });
  };

  const stopListening = driver.onEvents((events) => {
    for (const event of events) if (event.type === 'step.answered') sent.delete(event.step);
    if (options.json)
      for (const event of events) if (event.type !== 'run.finished') out(JSON.stringify({ run: runId, ...event }));
    if (!options.json) progress.show(events);
    look();
  });
  if (!options.json) progress.start();
  // A resumed run may wait already, without any event.
  setTimeout(look, 50).unref();
  const end = await driver.ended.promise;
  progress.stop();
  stopListening();
  stopSignals();
  if (end.kind === 'broken') {
    err(`stationmaster: ${end.message}`);
    return EXIT.failed;
  }
  if (options.json) out(JSON.stringify(runSummary(runId, state, state.finishedAt ?? Date.now())));
  else closing(driver);
  return exitCodeOf(runStatus(state));
}

/** Ctrl-C once: cancel cleanly; twice: at once. */
function onInterrupt(driver: RunDriver): () => void {
  let times = 0;
  const interrupt = () => {
    times++;
    driver.fulfil({ type: 'cancel', force: times > 1 });
    if (times === 1) err('\ncancelling; press Ctrl-C again to end everything at once');
    if (times > 2) process.exit(EXIT.cancelled);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  return () => {
    for (const signal of signals) process.off(signal, interrupt);
  };
}

function closing(driver: RunDriver): void {
  const { state } = driver;
  const { runId } = driver.parts;
  const style = styleFor(process.stdout);
  const status = runStatus(state);
  const time =
    state.startedAt === undefined ? '' : ` in ${formatDuration((state.finishedAt ?? Date.now()) - state.startedAt)}`;
  const short = runId;
  if (status === 'completed') return out(`${style.green('completed')}${time} — run ${short}`);
  if (status === 'cancelled')
    return out(`${style.yellow('cancelled')}${time} — run ${short}; go on with \`stationmaster resume ${short}\``);
  if (status === 'failed') {
    const why = state.finished?.message ? `: ${state.finished.message}` : '';
    out(`${style.red('failed')}${time}${why} — run ${short}`);
    const failed = [...state.steps.values()].filter((step) => step.status === 'failed' && !step.step.allowFailure);
    // A group has no log of its own; what failed in it has.
    const telling = failed.find(
      (step) => !isGroup(step) && existsSync(driver.logFile(step.path, step.attempts.length)),
    );
    out(
      `  ${telling ? `see \`stationmaster logs ${short} ${telling.path}\`, then ` : ''}\`stationmaster resume ${short}\` goes on`,
    );
    return;
  }
  out(`${style.yellow('waiting')} — run ${short}`);
  for (const step of questionsOf(state)) {
    out(`  ${style.bold(step.path)} asks: ${plain(step.question!.text).split('\n').join('\n    ')}`);
    const options = step.question!.options;
    out(`    stationmaster answer ${short} ${step.path} ${options.length > 0 ? options.join('|') : '--text "…"'}`);
  }
  for (const step of state.steps.values()) {
    if (step.status === 'awaiting_review')
      out(`  ${style.bold(step.path)} awaits review: stationmaster continue ${short} ${step.path}`);
    else if (state.options.stepByStep && step.status === 'pending' && step.waitingFor === 0 && !step.released) {
      out(`  ${style.bold(step.path)} is next: stationmaster continue ${short} ${step.path}`);
    }
  }
  out(`  then: stationmaster resume ${short}`);
}
