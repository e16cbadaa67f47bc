import type { Wish } from '../../engine/core/wishes.ts';
import type { Engine } from '../../engine/node/engine.ts';
import type { RunRow } from '../../engine/node/store.ts';
import { fieldFromText, toField } from '../../language/workflow/fields.ts';
import { type Command, flag, text, texts } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { complain, withRun } from '../open.ts';
import { questionsOf } from '../summary.ts';
import { err, out } from '../terminal.ts';

async function send(engine: Engine, run: RunRow, wish: Wish): Promise<number> {
  const sent = await engine.wish(run.id, wish);
  if (!sent.ok) return complain(sent.failure);
  if (sent.value === 'recorded' && wish.type !== 'cancel')
    out(`recorded; nobody drives run ${run.id}, so go on with \`stationmaster resume ${run.id}\``);
  return EXIT.completed;
}

export const continueCommand: Command = {
  summary: 'Let a step go on that awaits review or the next step of a run by hand.',
  usage: '<run> <step>',
  details: 'Goes to the process that drives the run, or into the journal when none does.',
  options: {},
  optionHelp: {},
  positionals: [2, 2],
  run: ({ positionals, workspace }) =>
    withRun(workspace, positionals[0]!, (engine, run) =>
      send(engine, run, { type: 'continue', step: positionals[1]! }),
    ),
};

export const answerCommand: Command = {
  summary: 'Answer a question.',
  usage: '<run> [step] <option> [--text …] [--field k=v …]',
  details: `
The step may be left out when only one asks.

  stationmaster answer m3k ship
  stationmaster answer m3k build help --text "use node 22"`,
  options: { text: { type: 'string' }, field: { type: 'string', multiple: true } },
  optionHelp: { text: 'An answer in words.', field: 'A field, as name=value.' },
  positionals: [1, 3],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const open = questionsOf(engine.load(run).state);
      const rest = positionals.slice(1);
      const named = rest.length > 0 && open.some((step) => step.path === rest[0]);
      const step = named ? open.find((candidate) => candidate.path === rest.shift()) : open[0];
      if (!step || (!named && open.length > 1)) {
        err(
          `stationmaster: ${open.length === 0 ? `run ${run.id} asks nothing` : `several steps ask: ${open.map((candidate) => candidate.path).join(', ')}; name one`}`,
        );
        return EXIT.usage;
      }
      const [option] = rest;
      const given = text(values, 'text');
      if (option === undefined && given === undefined) {
        err(
          `stationmaster: answer with ${step.question!.options.length > 0 ? `one of ${step.question!.options.join(', ')}` : '--text "…"'}`,
        );
        return EXIT.usage;
      }
      const fields: Record<string, unknown> = {};
      for (const pair of texts(values, 'field')) {
        const [name = '', ...value] = pair.split('=');
        fields[name] = fieldFromText(value.join('='), toField(step.question!.fields?.[name]));
      }
      const hasFields = Object.keys(fields).length > 0;
      return send(engine, run, {
        type: 'answer',
        step: step.path,
        answer: {
          by: 'person',
          ...(option === undefined ? {} : { option }),
          ...(given === undefined ? {} : { text: given }),
          ...(hasFields ? { fields } : {}),
        },
      });
    }),
};

export const pauseCommand: Command = {
  summary: 'Start no further step of a run; what runs goes on.',
  usage: '<run>',
  details: '`stationmaster resume` goes on.',
  options: {},
  optionHelp: {},
  positionals: [1, 1],
  run: ({ positionals, workspace }) =>
    withRun(workspace, positionals[0]!, (engine, run) => send(engine, run, { type: 'pause' })),
};

export const cancelCommand: Command = {
  summary: 'Cancel a run: end what runs, leave nothing behind.',
  usage: '<run> [--force]',
  details: 'Steps with `when: always()` still run, unless forced.',
  options: { force: { type: 'boolean' } },
  optionHelp: { force: 'End everything at once.' },
  positionals: [1, 1],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, (engine, run) =>
      send(engine, run, { type: 'cancel', force: flag(values, 'force') }),
    ),
};
