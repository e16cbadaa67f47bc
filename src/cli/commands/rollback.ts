import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { complain, withRun } from '../open.ts';
import { err, out } from '../terminal.ts';

export const rollbackCommand: Command = {
  summary: 'Make an older version of an artifact the one that counts.',
  usage: '<run> <step>/<name>@<version>',
  details: `
The file in the workspace is put back if it still holds what the run left there. What depends on the step becomes stale;
\`stationmaster resume\` runs it again.

  stationmaster rollback m3k analyze/plan@1`,
  options: {},
  optionHelp: {},
  positionals: [2, 2],
  run: ({ positionals, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const match = /^(.+)\/([^/@]+)@(\d+)$/.exec(positionals[1]!);
      if (!match) {
        err(`stationmaster rollback: "${positionals[1]}" is no artifact; write step/name@version`);
        return EXIT.usage;
      }
      const done = await engine.rollback(run.id, match[1]!, match[2]!, Number(match[3]));
      if (!done.ok) return complain(done.failure);
      const { again } = done.value;
      out(
        again.length > 0
          ? `stale now: ${again.join(', ')}; \`stationmaster resume ${run.id}\` runs them again`
          : 'nothing depends on it',
      );
      return EXIT.completed;
    }),
};
