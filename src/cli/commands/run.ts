import { renderDiagnostics } from '../../language/text.ts';
import { attend } from '../attend.ts';
import { type Command, flag, text, texts } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { readInputs } from '../inputs.ts';
import { complain, withEngine } from '../open.ts';
import { err, out, plain, styleFor } from '../terminal.ts';

export const runCommand: Command = {
  summary: 'Run a workflow and stay with it.',
  usage: '<file> [--input k=v …] [--inputs file.json] [--step-by-step] [--no-ask] [--json]',
  details: `
Checks the file, records the run, executes its steps and heals what it knows how to heal. Everything is written to
.stationmaster/ before it shows, so a run that is killed goes on with \`stationmaster resume\`.

Ctrl-C once cancels cleanly, twice at once.

  stationmaster run ship.workflow.yaml --input feature="dark mode"
  stationmaster run ci.workflow.yaml --no-ask --json | jq -c 'select(.type=="run.finished")'`,
  options: {
    input: { type: 'string', multiple: true, short: 'i' },
    inputs: { type: 'string' },
    'step-by-step': { type: 'boolean' },
    'no-ask': { type: 'boolean' },
    json: { type: 'boolean' },
  },
  optionHelp: {
    input: 'An input, as name=value; may be repeated.',
    inputs: 'A JSON file with inputs.',
    'step-by-step': 'Each step waits for `stationmaster continue`.',
    'no-ask': 'Ask nothing at the terminal; exit with 3 when a person is needed.',
    json: 'One JSON event a line.',
  },
  positionals: [1, 1],
  run: ({ positionals, values, workspace, prepared }) =>
    withEngine(workspace, async (engine) => {
      const [file = ''] = positionals;
      await engine.endLeftovers();
      const pairs = texts(values, 'input');
      const fields = pairs.length > 0 ? await engine.inputFields(file) : {};
      const inputs = readInputs(pairs, text(values, 'inputs'), fields);
      if (!inputs.ok) return complain(inputs.failure);
      const plan = await engine.plan(file, inputs.value);
      for (const line of plan.checked ? renderDiagnostics(file, plan.checked.text, plan.checked.diagnostics) : [])
        err(line);
      if (!plan.ok) return plan.failure.reason === 'invalid-workflow' ? EXIT.usage : complain(plan.failure);
      const run = await engine.createRun(plan.value, {
        file,
        inputs: inputs.value,
        stepByStep: flag(values, 'step-by-step'),
        ...(prepared ? { prepared } : {}),
      });
      if (!run.ok) return complain(run.failure);
      const json = flag(values, 'json');
      const style = styleFor(process.stdout);
      if (!json) out(`${style.bold(plain(plan.value.name))} ${style.dim(`run ${run.value}`)}`);
      const turn = await engine.waitForTurn(run.value, (other) => {
        if (!json) out(`waiting for run ${other.id} of the same group`);
      });
      if (!turn) return EXIT.cancelled;
      const driver = await engine.drive(run.value, undefined, prepared);
      if (!driver.ok) return complain(driver.failure);
      const code = await attend(driver.value, { json, ask: !flag(values, 'no-ask') });
      await engine.retain();
      return code;
    }),
};
