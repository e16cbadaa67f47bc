import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../base/result.ts';

const LONG_AGO = new Date(1_000_000);

/**
 * The files through which a step talks back to the run, in a folder that only its attempt has. Most steps say nothing, so
 * folders are used again: both hold a modification time of long ago, which only a new entry changes.
 */
export class TalkBack {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes the folder of an attempt. */
  static make(folder: string): TalkBack {
    const artifacts = join(folder, 'artifacts');
    mkdirSync(artifacts, { recursive: true });
    utimesSync(artifacts, LONG_AGO, LONG_AGO);
    utimesSync(folder, LONG_AGO, LONG_AGO);
    return new TalkBack(folder);
  }

  /** Whether the step said nothing at all. */
  isSilent(): boolean {
    const long = LONG_AGO.getTime();
    const artifacts = statSync(`${this.folder}/artifacts`, { throwIfNoEntry: false });
    return artifacts?.mtimeMs === long && statSync(this.folder, { throwIfNoEntry: false })?.mtimeMs === long;
  }

  env(): Record<string, string> {
    return {
      STATIONMASTER_OUTPUT: `${this.folder}/output`,
      STATIONMASTER_SUMMARY: `${this.folder}/summary.md`,
      STATIONMASTER_PROGRESS: `${this.folder}/progress`,
      STATIONMASTER_ARTIFACTS: `${this.folder}/artifacts`,
    };
  }

  outputs(): Result<Record<string, string>, 'bad-output'> {
    const file = join(this.folder, 'output');
    return existsSync(file) ? parseOutputs(readLimited(file)) : ok({});
  }

  /** Files the step left in its artifacts folder, and its summary. */
  artifacts(): { name: string; file: string }[] {
    const found: { name: string; file: string }[] = [];
    if (existsSync(join(this.folder, 'summary.md')))
      found.push({ name: 'summary', file: join(this.folder, 'summary.md') });
    const root = join(this.folder, 'artifacts');
    if (!existsSync(root)) return found;
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const file = join(root, name);
      if (statSync(file).isFile()) found.push({ name: name.replaceAll('\\', '/'), file });
    }
    return found;
  }

  /** The last line of progress: a percentage and a text. */
  progress(): { percent: number; text: string } | undefined {
    try {
      const lines = readLimited(join(this.folder, 'progress')).trim().split('\n');
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

/** The folders of a run to talk back through: one for each attempt that runs, used again while nobody said anything. */
export class TalkFolders {
  private readonly root: () => string;
  private readonly byStep = new Map<string, TalkBack>();
  private readonly free: TalkBack[] = [];

  constructor(root: () => string) {
    this.root = root;
  }

  /** That of the predecessor for an attempt that is joined, else one that is free. */
  claim(step: string, joined: string | undefined): TalkBack {
    const fresh = () => this.free.pop() ?? TalkBack.make(join(this.root(), `talk-${randomUUID()}`));
    const talk = joined === undefined ? fresh() : new TalkBack(joined);
    this.byStep.set(step, talk);
    return talk;
  }

  /** Called when the journal has what the step said. */
  release(step: string): void {
    const talk = this.byStep.get(step);
    if (!talk) return;
    this.byStep.delete(step);
    if (talk.isSilent()) this.free.push(talk);
    else void rm(talk.folder, { recursive: true, force: true });
  }

  /** How far a running step says it is. */
  progress(step: string): { percent: number; text: string } | undefined {
    return this.byStep.get(step)?.progress();
  }
}
