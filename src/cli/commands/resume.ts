import { attend } from '../attend.ts';
import { type Command, flag } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { complain, withRun } from '../open.ts';
import { out, plain, styleFor } from '../terminal.ts';

const options = { 'no-ask': { type: 'boolean' }, json: { type: 'boolean' } } as const;
const optionHelp = { 'no-ask': 'Ask nothing at the terminal.', json: 'One JSON event a line.' };

export const resumeCommand: Command = {
  summary: 'Go on with a run that was interrupted, or from its failed steps.',
  usage: '<run> [--no-ask] [--json]',
  details: `
Uses the run's own copy of the workflow: what it was planned with, whatever the file says now. Steps that completed are not
executed again. Steps that still run, because only their host died, are joined. A paused run goes on where it is driven.`,
  options,
  optionHelp,
  positionals: [1, 1],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      if (run.status === 'paused' && engine.isDriven(run.id)) {
        const sent = await engine.wish(run.id, { type: 'unpause' });
        if (!sent.ok) return complain(sent.failure);
        out(`run ${run.id} goes on in the process that drives it`);
        return EXIT.completed;
      }
      const turn = await engine.waitForTurn(run.id, (other) => {
        if (!flag(values, 'json')) out(`waiting for run ${other.id} of the same group`);
      });
      if (!turn) return EXIT.cancelled;
      const driver = await engine.resume(run.id);
      if (!driver.ok) return complain(driver.failure);
      const json = flag(values, 'json');
      if (!json)
        out(
          `${styleFor(process.stdout).bold(plain(run.name))} run ${run.id} goes on, with the definition it was started with`,
        );
      return attend(driver.value, { json, ask: !flag(values, 'no-ask') });
    }),
};

export const retryCommand: Command = {
  summary: 'Run a step again, and everything that depends on it.',
  usage: '<run> <step> [--no-ask] [--json]',
  details: "Uses the run's own copy of the workflow.",
  options,
  optionHelp,
  positionals: [2, 2],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const driver = await engine.retry(run.id, positionals[1]!);
      return driver.ok
        ? attend(driver.value, { json: flag(values, 'json'), ask: !flag(values, 'no-ask') })
        : complain(driver.failure);
    }),
};
