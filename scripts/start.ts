import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAll } from './build.ts';

/*
 * `npm start`: builds, and then does the main job on real input. A project that is really broken is healed by a real run;
 * a second run is killed with -9 half way and resumed.
 */
const root = join(import.meta.dirname, '..');
const bin = join(root, 'dist', 'stationmaster.mjs');
const terminal = process.stdout.isTTY === true;
const bold = (text: string) => (terminal ? `\x1b[1m${text}\x1b[22m` : text);

interface Summary {
  readonly run: string;
  readonly status: string;
  readonly steps: Record<
    string,
    {
      status: string;
      attempts: number;
      duration: number;
      outputs: Record<string, unknown>;
      healing?: { actions: { outcome: string; error_type: string; specialist: string; description: string }[] };
    }
  >;
  readonly questions: readonly { step: string; text: string; options: readonly string[] }[];
}

console.log('Building …');
await buildAll();
const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'stationmaster-shop-')));
copyExample();

console.log(bold(`\n1. A broken project, healed without a model`));
console.log(
  `   A copy of examples/shop in ${workspace}: it imports a package that its manifest lacks, and wants port 8080.`,
);
const squatter = await takePort(8080);
console.log(
  squatter
    ? '   Port 8080 is taken by this script, as some other program would.'
    : '   Port 8080 is taken already by another program; good.',
);
console.log();
const code = await runInteractively('run', 'ship.workflow.yaml');
const first = latest();
if (code !== 0) {
  squatter?.close();
  explain(first);
  process.exit(code);
}
report(first);

console.log(bold('\n2. A run that is killed with -9 half way, and resumed'));
rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
copyExample();
const killed = await killHalfWay();
console.log(`   Killed with -9 when these had completed: ${killed.completed.join(', ')}.`);
console.log(`   $ stationmaster resume ${killed.run}\n`);
const resumed = await runInteractively('resume', killed.run);
const second = latest();
squatter?.close();
const repeated = killed.completed.filter(
  (step) => step !== 'serve' && second.steps[step]!.attempts !== killed.attempts[step],
);
if (resumed !== 0 || second.status !== 'completed') {
  explain(second);
  process.exit(resumed || 1);
}
if (repeated.length > 0) {
  console.error(`   These ran again although they had completed: ${repeated.join(', ')}. This is a bug.`);
  process.exit(1);
}
console.log('\n   Nothing that had completed ran again.');

console.log(bold('\n3. How to go on'));
console.log(`   cd ${workspace}
   node ${bin} show ${second.run}      what happened, and the healing sessions
   node ${bin} logs ${second.run}      every log
   node ${bin} --help
   README.md has a first workflow in twenty lines.`);

function copyExample(): void {
  cpSync(join(root, 'examples', 'shop'), workspace, { recursive: true });
  git('init', '-q', '-b', 'main');
  git('config', 'user.name', 'Stationmaster example');
  git('config', 'user.email', 'example@stationmaster.invalid');
  git('add', '.');
  git('commit', '-qm', 'The shop, as it broke');
}

function git(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: workspace, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')} failed: ${stderr}`);
  return stdout;
}

/** Holds a port as somebody else's program would; undefined when it is held already. */
function takePort(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.on('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function stationmaster(args: readonly string[], stdio: 'inherit' | 'pipe') {
  return spawn(process.execPath, ['--no-warnings', bin, ...args], {
    cwd: workspace,
    stdio: stdio === 'inherit' ? 'inherit' : ['ignore', 'pipe', 'inherit'],
  });
}

function runInteractively(...args: string[]): Promise<number> {
  return new Promise((resolve) => stationmaster(args, 'inherit').on('close', (status) => resolve(status ?? 1)));
}

/** Starts a run and kills its host as soon as the tests have passed and the service is up. */
function killHalfWay(): Promise<{ run: string; completed: string[]; attempts: Record<string, number> }> {
  return new Promise((resolve, reject) => {
    const child = stationmaster(['run', 'ship.workflow.yaml', '--json', '--no-ask'], 'pipe');
    const completed = new Set<string>();
    const attempts: Record<string, number> = {};
    let run = '';
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const event = JSON.parse(line) as { type: string; run: string; step?: string; attempt?: number };
        run = event.run;
        if (event.type === 'step.started') attempts[event.step!] = event.attempt!;
        if (event.type === 'step.completed') completed.add(event.step!);
        if (event.type === 'step.completed' && event.step === 'build_test') child.kill('SIGKILL');
      }
    });
    child.on('close', () => {
      if (completed.has('build_test')) resolve({ run, completed: [...completed], attempts });
      else reject(new Error('the second run ended before it could be killed'));
    });
  });
}

function latest(): Summary {
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', bin, 'runs', '--limit', '1', '--json'], {
    cwd: workspace,
    encoding: 'utf8',
  });
  return JSON.parse(stdout) as Summary;
}

function report(summary: Summary): void {
  console.log(bold('\n   What happened'));
  for (const [name, step] of Object.entries(summary.steps)) {
    for (const action of step.healing?.actions ?? []) {
      if (action.outcome === 'applied')
        console.log(`   ${name}: ${action.error_type} → ${action.specialist}: ${action.description}`);
    }
  }
  const sha = String(summary.steps['commit']?.outputs['sha'] ?? 'HEAD');
  console.log(bold('\n   The healed diff'));
  console.log(
    git('show', '--stat', '--format=   commit %h %s', sha)
      .trimEnd()
      .split('\n')
      .map((line) => `   ${line.trim()}`)
      .join('\n'),
  );
  console.log(
    git('diff', `${sha}~1`, sha, '--', 'package.json')
      .trimEnd()
      .split('\n')
      .slice(4)
      .map((line) => `   ${line}`)
      .join('\n'),
  );
}

/** The run waits or failed: says why, and what can be done. */
function explain(summary: Summary): void {
  for (const question of summary.questions) {
    console.log(bold(`\n   ${question.step} needs you`));
    console.log(
      question.text
        .split('\n')
        .map((line) => `   ${line}`)
        .join('\n'),
    );
    if (/registry/.test(question.text))
      console.log('   This machine cannot reach the npm registry, which the fix needs.');
    for (const option of question.options)
      console.log(`   node ${bin} answer ${summary.run} ${question.step} ${option}`);
    console.log(`   node ${bin} resume ${summary.run}`);
  }
  console.log(`   The workspace is ${workspace}.`);
}
