import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SimpleGit } from 'simple-git';
import { messageOf } from '../../base/result.ts';
import { defineStation } from './define-station.ts';
import { failed } from './station.ts';

/**
 * Commits what the run produced, and only that: files that the person changed before or beside the run stay as they are.
 * Hooks run; nothing is ever forced; there is no commit without a change.
 */
export const commitStation = defineStation({
  name: 'commit',
  description: 'Commits the files that this run produced or changed. Hooks run, nothing is forced.',
  inputs: {
    message: { type: 'string', description: 'The commit message.' },
    paths: {
      type: 'array',
      items: { type: 'string' },
      description: 'Only these files, instead of all that the run produced.',
    },
    allow_empty: { type: 'boolean', description: 'Complete when there is nothing to commit (false: fail).' },
  },
  required: ['message'],
  outputs: { sha: { type: 'string' }, files: { type: 'array' } },
  async execute(context) {
    const { simpleGit } = await import('simple-git');
    const git = simpleGit({ baseDir: context.workspace });
    const message = String(context.with['message']);
    const note = join(context.scratch(), 'commit.json');
    try {
      if (!(await git.checkIsRepo()))
        return failed('no-repository', `${context.workspace} is not a git repository; run \`git init\` first`);
      const done = await committedBefore(git, note, message);
      if (done) return { kind: 'completed', outputs: done };
      const status = await git.status();
      const changed = status.files.map((file) => file.path);
      const produced = new Set(context.producedFiles());
      const given = context.with['paths'];
      const files = Array.isArray(given)
        ? changed.filter((file) =>
            given.some((path) => file === path || file.startsWith(`${String(path).replace(/\/$/, '')}/`)),
          )
        : changed.filter((file) => produced.has(file) || !context.baseline.includes(file));
      const foreign = status.files.filter(({ index, path }) => index !== ' ' && index !== '?' && !files.includes(path));
      if (foreign.length > 0) {
        const names = foreign.map((file) => file.path).join(', ');
        return failed(
          'index-in-use',
          `${names} is staged already and not part of this run; commit or unstage it first`,
        );
      }
      if (files.length === 0) {
        if (context.with['allow_empty'] === true)
          return { kind: 'completed', outputs: { sha: await headOf(git), files: [] } };
        return failed('nothing-to-commit', 'the run changed no file that could be committed');
      }
      await git.add(['--', ...files]);
      const parent = await headOf(git);
      writeFileSync(note, JSON.stringify({ parent, message, files }), { flush: true });
      const { commit } = await git.commit(message);
      if (commit === '') return failed('nothing-to-commit', 'git found nothing to commit');
      return { kind: 'completed', outputs: { sha: await headOf(git), files } };
    } catch (error) {
      return failed('git', `git refused: ${messageOf(error).trim()}`);
    }
  },
});

async function headOf(git: SimpleGit): Promise<string> {
  try {
    return (await git.revparse(['HEAD'])).trim();
  } catch {
    // A repository without a commit.
    return '';
  }
}

/**
 * The commit of an earlier attempt that nobody lived to record: a crash between git and the journal must not commit
 * twice, nor fail because there is nothing left to commit.
 */
async function committedBefore(
  git: SimpleGit,
  note: string,
  message: string,
): Promise<{ sha: string; files: string[] } | undefined> {
  if (!existsSync(note)) return undefined;
  const {
    parent,
    message: intended,
    files,
  } = JSON.parse(readFileSync(note, 'utf8')) as { parent: string; message: string; files: string[] };
  const head = await headOf(git);
  if (head === '' || head === parent || intended !== message) return undefined;
  const [said, before] = (await git.raw(['log', '-1', '--format=%B%x00%P', head])).split('\0');
  return said?.trim() === message.trim() && before?.trim() === parent ? { sha: head, files } : undefined;
}
