import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/* What package.json promises to VS Code and to npm must exist. */
const root = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const problems: string[] = [];

for (const key of [
  'name',
  'displayName',
  'description',
  'version',
  'publisher',
  'license',
  'engines',
  'categories',
  'contributes',
]) {
  if (manifest[key] === undefined) problems.push(`package.json has no "${key}"`);
}
if (!/^\^\d+\.\d+\.\d+$/.test(manifest.engines?.vscode ?? '')) problems.push('engines.vscode is no caret range');
for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
  if (typeof range !== 'string' || /^(git|https?|file):/.test(range))
    problems.push(`dependency ${name} does not come from a registry`);
}
for (const grammar of manifest.contributes?.grammars ?? []) {
  if (!existsSync(join(root, grammar.path))) problems.push(`the grammar ${grammar.path} does not exist`);
}
const cli = readFileSync(join(root, 'src/cli/main.ts'), 'utf8');
if (!cli.includes(`VERSION = '${manifest.version}'`))
  problems.push('src/cli/main.ts names another version than package.json');
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
if (!changelog.includes(`## ${manifest.version}`)) problems.push(`CHANGELOG.md has no section for ${manifest.version}`);

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log('manifest: package.json, the command line and the changelog agree');
