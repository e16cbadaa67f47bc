import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';

/** The files through which a step talks back to the run, one folder for each attempt. */
export class TalkBack {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(join(folder, 'artifacts'), { recursive: true });
  }

  env(): Record<string, string> {
    return {
      STATIONMASTER_OUTPUT: join(this.folder, 'output'),
      STATIONMASTER_SUMMARY: join(this.folder, 'summary.md'),
      STATIONMASTER_PROGRESS: join(this.folder, 'progress'),
      STATIONMASTER_ARTIFACTS: join(this.folder, 'artifacts'),
    };
  }

  outputs(): Result<Record<string, string>, 'bad-output'> {
    const file = join(this.folder, 'output');
    return existsSync(file) ? parseOutputs(readLimited(file)) : ok({});
  }

  /** Files the step left in its artifacts folder, and its summary. */
  artifacts(): { name: string; file: string }[] {
    const found: { name: string; file: string }[] = [];
    const entries = readdirSync(this.folder);
    if (entries.includes('summary.md')) found.push({ name: 'summary', file: join(this.folder, 'summary.md') });
    const root = join(this.folder, 'artifacts');
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const file = join(root, name);
      if (statSync(file).isFile()) found.push({ name: name.replaceAll('\\', '/'), file });
    }
    return found;
  }

  /** The last line of progress: a percentage and a text. */
  static progress(folder: string): { percent: number; text: string } | undefined {
    try {
      const lines = readLimited(join(folder, 'progress')).trim().split('\n');
      const match = /^(\d{1,3})(?:%|\b)\s*(.*)$/.exec(lines[lines.length - 1] ?? '');
      return match ? { percent: Math.min(100, Number(match[1])), text: match[2]! } : undefined;
    } catch {
      return undefined;
    }
  }
}

const MOST_OUTPUT = 1_000_000;

function readLimited(file: string): string {
  if (statSync(file).size > MOST_OUTPUT)
    throw new Error(`${file} is larger than ${MOST_OUTPUT} bytes; use an artifact for what is large`);
  return readFileSync(file, 'utf8');
}

/** `name=value` lines, and `name<<END … END` for values of several lines. */
export function parseOutputs(text: string): Result<Record<string, string>, 'bad-output'> {
  const values: Record<string, string> = {};
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (line.trim() === '') continue;
    const several = /^([A-Za-z_][\w-]*)<<(\S+)\s*$/.exec(line);
    if (several) {
      const end = lines.indexOf(several[2]!, i + 1);
      if (end === -1)
        return fail(
          'bad-output',
          `output "${several[1]}" begins with <<${several[2]} and never ends with a line of ${several[2]}`,
        );
      values[several[1]!] = lines.slice(i + 1, end).join('\n');
      i = end;
      continue;
    }
    const single = /^([A-Za-z_][\w-]*)=(.*)$/s.exec(line);
    if (!single)
      return fail(
        'bad-output',
        `line ${i + 1} of the outputs is neither name=value nor name<<END: ${line.slice(0, 80)}`,
      );
    values[single[1]!] = single[2]!;
  }
  return ok(values);
}
