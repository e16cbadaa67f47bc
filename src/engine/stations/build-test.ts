import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineStation } from './define-station.ts';
import { defaultShell } from './shell.ts';
import { failed, resultOfJob, type StationContext, type StationResult } from './station.ts';

/** Builds and tests; commands that are not given follow from the project's files. */
export const buildTest = defineStation({
  name: 'build-test',
  description: 'Builds and tests the project. Commands that are not given follow from its files.',
  inputs: {
    install: { type: 'string', description: 'The command that installs dependencies.' },
    build: { type: 'string', description: 'The command that builds.' },
    test: { type: 'string', description: 'The command that tests.' },
  },
  outputs: { built: { type: 'boolean' }, tested: { type: 'boolean' } },
  heals: true,
  async execute(context: StationContext): Promise<StationResult> {
    const found = commandsFor(context.cwd);
    const commands = (['install', 'build', 'test'] as const).map((part) => {
      const given = context.with[part];
      return {
        part,
        script: typeof given === 'string' ? given : part === 'install' || found === undefined ? undefined : found[part],
      };
    });
    const planned = commands.filter((command) => command.script !== undefined && command.script !== '');
    if (planned.length === 0) {
      return failed(
        'no-commands',
        `nothing in ${context.cwd} says how to build or test; give \`build\` and \`test\` in "with"`,
      );
    }
    for (const { part, script } of planned) {
      const end = await context.run(
        { kind: 'shell', shell: context.step.shell ?? defaultShell(), script: script! },
        { part },
      );
      const result = resultOfJob(end, `${part} \`${script}\``, context.step.timeout);
      if (result.kind !== 'completed') return result;
    }
    const ran = (part: string) => planned.some((command) => command.part === part);
    return { kind: 'completed', outputs: { built: ran('build'), tested: ran('test') } };
  },
});

function commandsFor(folder: string): { build?: string; test: string } | undefined {
  const has = (file: string) => existsSync(join(folder, file));
  if (has('Cargo.toml')) return { build: 'cargo build', test: 'cargo test' };
  if (has('package.json')) return { build: 'npm run build --if-present', test: 'npm test' };
  if (has('go.mod')) return { build: 'go build ./...', test: 'go test ./...' };
  if (has('pyproject.toml') || has('requirements.txt') || has('setup.py')) return { test: 'python3 -m pytest' };
  if (has('pom.xml')) return { build: 'mvn -q compile', test: 'mvn -q test' };
  return undefined;
}
