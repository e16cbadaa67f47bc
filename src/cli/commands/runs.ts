import { formatDuration } from '../../language/values.ts';
import { type Command, flag, text } from '../command.ts';
import { withEngine } from '../open.ts';
import { runSummary } from '../summary.ts';
import { out, plain, styleFor, table } from '../terminal.ts';

export const runsCommand: Command = {
  summary: 'List the runs of the workspace, newest first.',
  usage: '[--limit n] [--json]',
  details: 'Run ids may be shortened to a unique prefix everywhere.',
  options: { json: { type: 'boolean' }, limit: { type: 'string' } },
  optionHelp: { json: 'One JSON object a line, as `show --json` prints it.', limit: 'How many (20).' },
  positionals: [0, 0],
  run: ({ values, workspace }) =>
    withEngine(workspace, async (engine) => {
      const runs = engine.store.runs(Number(text(values, 'limit') ?? 20) || 20);
      if (flag(values, 'json')) {
        for (const run of runs)
          out(JSON.stringify(runSummary(run.id, engine.load(run).state, run.finishedAt ?? run.createdAt)));
        return 0;
      }
      if (runs.length === 0) out('No runs yet. `stationmaster run <file>` starts one.');
      const style = styleFor(process.stdout);
      const colours = {
        completed: style.green,
        failed: style.red,
        cancelled: style.yellow,
        waiting: style.yellow,
      } as Record<string, ((text: string) => string) | undefined>;
      const rows = runs.map((run) => {
        // A run whose host died is not running, whatever it last wrote.
        const status = run.status === 'running' && !engine.isDriven(run.id) ? 'interrupted' : run.status;
        const time = run.startedAt === null ? '' : formatDuration((run.finishedAt ?? Date.now()) - run.startedAt);
        const when = new Date(run.createdAt).toISOString().replace('T', ' ').slice(0, 16);
        return [
          run.id,
          (colours[status] ?? ((text: string) => text))(status),
          when,
          time,
          run.questions > 0 ? `${run.questions} ?` : '',
          plain(run.name),
        ];
      });
      for (const line of table(rows)) out(line);
      return 0;
    }),
};
