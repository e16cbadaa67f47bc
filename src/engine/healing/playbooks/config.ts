import { constants, existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { Finding } from '../../core/events.ts';
import type { Playbook, PlaybookContext, PlaybookOutcome } from '../playbook.ts';

/** ConfigError: a missing env file that has an example beside it is made from the example. Never overwrites a file. */
export const configPlaybook: Playbook = {
  name: 'env-from-example',
  type: 'ConfigError',
  async propose(finding, context) {
    const found = find(finding, context);
    return found && `copy ${basename(found.example)} to ${basename(found.file)}`;
  },
  async apply(finding, context): Promise<PlaybookOutcome> {
    const found = find(finding, context);
    if (!found) return { kind: 'failed', description: 'no example stands beside the missing file' };
    // Fails when the file has appeared in the meantime (invariant 11).
    await copyFile(found.example, found.file, constants.COPYFILE_EXCL);
    const path = relative(context.workspace, found.file).replaceAll('\\', '/');
    return { kind: 'applied', description: `copied ${basename(found.example)} to ${path}`, changed: [path] };
  },
};

function find(finding: Finding, context: PlaybookContext): { file: string; example: string } | undefined {
  const name = finding.subject?.['file'] ?? (finding.subject?.['variable'] === undefined ? undefined : '.env');
  if (name === undefined) return undefined;
  const file = resolve(context.cwd, name);
  if (!file.startsWith(context.workspace + sep) || existsSync(file)) return undefined;
  const examples = ['.example', '.sample', '.template', '.dist'].map((ending) => file + ending);
  const example = [...examples, join(dirname(file), 'env.example')].find((path) => existsSync(path));
  return example === undefined ? undefined : { file, example };
}
