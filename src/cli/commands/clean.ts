import { parseDuration, parseSize } from '../../language/values.ts';
import { type Command, flag, text } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withEngine } from '../open.ts';
import { err, out } from '../terminal.ts';

export const cleanCommand: Command = {
  summary: 'Remove old runs, their logs, and artifacts that nothing refers to.',
  usage: '[--keep n] [--older-than 30d] [--max-size 1GB] [--dry-run]',
  details:
    'Runs that have not ended are never removed. Without options: more than 1,000 runs, older than 90 days, or over 5 GB.',
  options: {
    keep: { type: 'string' },
    'older-than': { type: 'string' },
    'max-size': { type: 'string' },
    'dry-run': { type: 'boolean' },
  },
  optionHelp: {
    keep: 'Keep the newest n runs.',
    'older-than': 'Remove runs older than this.',
    'max-size': 'Remove the oldest until logs and artifacts are below this.',
    'dry-run': 'Only say what would go.',
  },
  positionals: [0, 0],
  run: ({ values, workspace }) =>
    withEngine(workspace, async (engine) => {
      const keep = text(values, 'keep');
      const age = text(values, 'older-than');
      const size = text(values, 'max-size');
      const given = keep !== undefined || age !== undefined || size !== undefined;
      const { retention } = engine.settings;
      const limits = {
        runs: keep === undefined ? (given ? Infinity : retention.runs) : Number(keep),
        age: age === undefined ? (given ? Infinity : retention.days * 86_400_000) : parseDuration(age),
        bytes: size === undefined ? (given ? Infinity : retention.bytes) : parseSize(size),
      };
      if (!(limits.runs >= 0) || limits.age === undefined || limits.bytes === undefined) {
        err(
          'stationmaster clean: --keep takes a number, --older-than a duration such as 30d, --max-size a size such as 1GB',
        );
        return EXIT.usage;
      }
      const { clean } = await import('../../engine/node/retention.ts');
      const cleaned = clean(
        engine.store,
        { runs: limits.runs, age: limits.age, bytes: limits.bytes },
        Date.now(),
        flag(values, 'dry-run'),
      );
      out(
        `${flag(values, 'dry-run') ? 'would remove' : 'removed'} ${cleaned.runs} runs, ${cleaned.blobs} artifacts, ${Math.round(cleaned.bytes / 1000)} kB`,
      );
      return EXIT.completed;
    }),
};
