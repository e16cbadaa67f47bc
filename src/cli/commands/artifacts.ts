import { constants, copyFileSync, createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Artifact } from '../../engine/core/events.ts';
import { type Command, text } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withRun } from '../open.ts';
import { err, out, table } from '../terminal.ts';

export const artifactsCommand: Command = {
  summary: 'List the artifacts of a run, or print one.',
  usage: '<run> [step/name[@version]] [--out path]',
  details: `
  stationmaster artifacts m3k                     lists them
  stationmaster artifacts m3k analyze/plan        prints the latest version
  stationmaster artifacts m3k analyze/plan@1 --out plan.md`,
  options: { out: { type: 'string' } },
  optionHelp: { out: 'Write it to this file, which must not exist yet.' },
  positionals: [1, 2],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const all: { step: string; artifact: Artifact }[] = engine.load(run).events.flatMap((event) => {
        const artifacts =
          event.type === 'step.completed' || event.type === 'step.reviewing' ? (event.artifacts ?? []) : [];
        return artifacts.map((artifact) => ({ step: 'step' in event ? event.step : '', artifact }));
      });
      const wanted = positionals[1];
      if (wanted === undefined) {
        for (const line of table(
          all.map(({ step, artifact }) => [
            `${step}/${artifact.name}@${artifact.version}`,
            `${artifact.bytes} bytes`,
            artifact.sha256.slice(0, 12),
          ]),
        ))
          out(line);
        return 0;
      }
      const [path = '', version] = wanted.split('@');
      const found = all.filter(
        ({ step, artifact }) =>
          `${step}/${artifact.name}` === path && (version === undefined || artifact.version === Number(version)),
      );
      const last = found[found.length - 1];
      if (!last) {
        err(
          `stationmaster: run ${run.id} has no artifact "${wanted}"; \`stationmaster artifacts ${run.id}\` lists them`,
        );
        return EXIT.usage;
      }
      const file = engine.blobs.path(last.artifact.sha256);
      const target = text(values, 'out');
      if (target === undefined) await pipeline(createReadStream(file), process.stdout, { end: false });
      else {
        try {
          copyFileSync(file, target, constants.COPYFILE_EXCL);
        } catch (error) {
          err(`stationmaster: ${target} was not written: ${error instanceof Error ? error.message : String(error)}`);
          return EXIT.failed;
        }
      }
      return 0;
    }),
};
