import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nearest } from '../base/nearest.ts';
import { messageOf } from '../base/result.ts';
import type { RunnerProcess } from '../engine/node/runner-process.ts';
import type { Command } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { err, out } from './terminal.ts';

/** Commands by name; each is loaded only when it is used, so that none costs the others' start. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./commands/run.ts')).runCommand,
  plan: async () => (await import('./commands/plan.ts')).planCommand,
  check: async () => (await import('./commands/check.ts')).checkCommand,
  runs: async () => (await import('./commands/runs.ts')).runsCommand,
  show: async () => (await import('./commands/show.ts')).showCommand,
  logs: async () => (await import('./commands/logs.ts')).logsCommand,
  artifacts: async () => (await import('./commands/artifacts.ts')).artifactsCommand,
  resume: async () => (await import('./commands/resume.ts')).resumeCommand,
  retry: async () => (await import('./commands/resume.ts')).retryCommand,
  continue: async () => (await import('./commands/wish.ts')).continueCommand,
  answer: async () => (await import('./commands/wish.ts')).answerCommand,
  pause: async () => (await import('./commands/wish.ts')).pauseCommand,
  cancel: async () => (await import('./commands/wish.ts')).cancelCommand,
  rollback: async () => (await import('./commands/rollback.ts')).rollbackCommand,
  clean: async () => (await import('./commands/clean.ts')).cleanCommand,
  completion: async () => (await import('./commands/completion.ts')).completionCommand,
};

const COMMON = { workspace: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

export const VERSION = '0.1.0';

async function dispatch(argv: readonly string[], prepared: RunnerProcess | undefined): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--version' || name === '-v') {
    out(VERSION);
    return 0;
  }
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    await help(rest[0]);
    return name === undefined ? EXIT.usage : 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    const meant = nearest(name, Object.keys(COMMANDS));
    err(
      `stationmaster: there is no command "${name}"${meant ? `; did you mean "${meant}"?` : ''} See \`stationmaster --help\`.`,
    );
    return EXIT.usage;
  }
  const command = await load();
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: rest,
      options: { ...command.options, ...COMMON },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    err(`stationmaster ${name}: ${messageOf(error)}`);
    err(`usage: stationmaster ${name} ${command.usage}`);
    return EXIT.usage;
  }
  const { positionals, values } = parsed;
  if (values['help'] === true) {
    await help(name);
    return 0;
  }
  const [least, most] = command.positionals;
  if (positionals.length < least || positionals.length > most) {
    err(`usage: stationmaster ${name} ${command.usage}`);
    return EXIT.usage;
  }
  const given = values['workspace'];
  const workspace = typeof given === 'string' ? resolve(given) : findWorkspace(process.cwd());
  if (!existsSync(workspace)) {
    err(`stationmaster: the workspace ${workspace} does not exist`);
    return EXIT.usage;
  }
  return command.run({
    positionals,
    values: values as Parameters<Command['run']>[0]['values'],
    workspace,
    ...(prepared ? { prepared } : {}),
  });
}

/** The nearest folder at or above with a store or a repository; else the current one. */
function findWorkspace(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.stationmaster')) || existsSync(join(folder, '.git'))) return folder;
    if (dirname(folder) === folder) return from;
  }
}

async function help(name: string | undefined): Promise<void> {
  if (name !== undefined && Object.hasOwn(COMMANDS, name)) {
    const command = await COMMANDS[name]!();
    out(`${command.summary}\n\nusage: stationmaster ${name} ${command.usage}\n\n${command.details.trim()}`);
    const options = Object.keys({ ...command.options, workspace: 0 }).map((option) => {
      const help =
        option === 'workspace'
          ? 'The workspace folder; found from the current folder when absent.'
          : command.optionHelp[option];
      return `  --${option.padEnd(14)} ${help ?? ''}`;
    });
    out(`\noptions:\n${options.join('\n')}`);
    return;
  }
  out('Stationmaster runs workflows: DAGs of steps in .workflow.yaml files, durable and self-healing.\n');
  out('usage: stationmaster <command> …\n');
  for (const [command, load] of Object.entries(COMMANDS)) out(`  ${command.padEnd(12)} ${(await load()).summary}`);
  out(`
A first workflow, hello.workflow.yaml:

  name: Hello
  steps:
    greet:
      run: echo "Hello from step $STATIONMASTER_STEP_ID"

  $ stationmaster run hello.workflow.yaml

\`stationmaster help <command>\` says more.
Exit codes: 0 completed, 1 failed, 2 wrong usage or invalid workflow, 3 waits for a person, 130 cancelled.`);
}

/** The command line. Sets the exit code. */
export async function main(argv: readonly string[], prepared?: RunnerProcess): Promise<void> {
  // Output into a closed pipe (`| head`) is not an error worth a stack trace.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    process.exitCode = await dispatch(argv, prepared);
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ERR_SQLITE_ERROR' ||
      (error as NodeJS.ErrnoException).code === 'ENOSPC'
    ) {
      err(
        `stationmaster: the store could not be read or written: ${messageOf(error)}. Make room, or repair the folder, then try again; nothing was removed`,
      );
    } else
      err(`stationmaster: this is a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = EXIT.failed;
  } finally {
    // A runner that got nothing to do ends when nobody holds on to it.
    prepared?.child.stdin?.end();
    prepared?.child.unref();
  }
}
