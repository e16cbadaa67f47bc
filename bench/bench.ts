import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAll } from '../scripts/build.ts';
import { SCENARIOS, type Scenario, writeScenario } from './scenarios.ts';

/*
 * `npm run bench [rounds]`: whole processes, our own and the peers' in turn within one round, medians of the rounds, and ratios.
 * Absolute times belong to the machine and the minute; only the ratios are worth keeping.
 */
const root = join(import.meta.dirname, '..');
const bin = join(root, 'dist', 'stationmaster.mjs');
const rounds = Number(process.argv[2] ?? 5);

interface Contender {
  readonly name: string;
  readonly available: boolean;
  command(scenario: Scenario): readonly [string, ...string[]];
  readonly env?: Record<string, string>;
  /** Too slow to be asked for 10,000 steps. */
  readonly small?: boolean;
  /** Asked for the chain alone. */
  readonly chainOnly?: boolean;
}

const has = (file: string) => spawnSync(file, ['--version']).status === 0;
const wireit = join(root, 'bench/peers/node_modules/.bin/wireit');
const peers = join(root, 'bench/peers');
/** The Node that the peers were installed with: they hold native modules. */
const peerNode = process.env['BENCH_PEER_NODE'] ?? process.execPath;

/** A peer written as a script in bench/peers, there when what it needs can be loaded. */
function script(name: string, needs: string, env: Record<string, string> = {}): Contender {
  const available =
    spawnSync(peerNode, ['--input-type=module', '-e', needs], { cwd: peers, env: { ...process.env, ...env } })
      .status === 0;
  return {
    name,
    available,
    command: () => [peerNode, join(peers, `${name.split(' ')[0]!.toLowerCase()}.mjs`)],
    env,
    small: true,
    chainOnly: true,
  };
}

const CONTENDERS: readonly Contender[] = [
  {
    name: 'stationmaster, disk',
    available: true,
    command: () => [process.execPath, bin, 'run', 'w.workflow.yaml', '--no-ask', '--workspace', '.'],
  },
  {
    name: 'stationmaster, system',
    available: true,
    command: () => [process.execPath, bin, 'run', 'w.workflow.yaml', '--no-ask', '--workspace', '.'],
    env: { STATIONMASTER_DURABILITY: 'system' },
  },
  { name: 'make', available: has('make'), command: ({ parallel }) => ['make', '-s', `-j${parallel}`] },
  { name: 'ninja', available: has('ninja'), command: ({ parallel }) => ['ninja', '--quiet', `-j${parallel}`] },
  {
    name: 'node spawn loop',
    available: true,
    command: () => [process.execPath, join(root, 'bench/peers/spawn-loop.mjs')],
  },
  {
    name: 'wireit',
    available: existsSync(wireit),
    command: () => ['npm', 'run', '--silent', 'all'],
    env: {
      WIREIT_LOGGER: 'metrics',
      WIREIT_CACHE: 'none',
      PATH: `${join(root, 'bench/peers/node_modules/.bin')}:${process.env['PATH']}`,
    },
    small: true,
  },
  script(
    'LangGraph with SQLite',
    "(await import('@langchain/langgraph-checkpoint-sqlite')).SqliteSaver.fromConnString(':memory:')",
  ),
  script('Mastra with libSQL', "await import('@mastra/core'); await import('@mastra/libsql')"),
  script('DBOS with Postgres', "await import('@dbos-inc/dbos-sdk'); if (!process.env.BENCH_POSTGRES) process.exit(1)"),
];

function time(contender: Contender, scenario: Scenario, folder: string): number {
  const [file, ...args] = contender.command(scenario);
  const env = { ...process.env, WIREIT_PARALLEL: String(scenario.parallel), ...contender.env };
  rmSync(join(folder, '.stationmaster'), { recursive: true, force: true });
  rmSync(join(folder, '.wireit'), { recursive: true, force: true });
  rmSync(join(folder, '.ninja_log'), { force: true });
  const started = performance.now();
  const done = spawnSync(file, args, { cwd: folder, env, stdio: 'ignore' });
  if (done.status !== 0) throw new Error(`${contender.name} failed at ${scenario.name} with ${done.status}`);
  return performance.now() - started;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

function graphs(temporary: string): void {
  const present = CONTENDERS.filter((contender) => contender.available);
  for (const absent of CONTENDERS.filter((contender) => !contender.available))
    console.log(`${absent.name} is not installed and is left out`);
  for (const scenario of SCENARIOS) {
    const folder = join(temporary, scenario.name.replace(/\W+/g, '-'));
    writeScenario(folder, scenario);
    const big = scenario.dependencies.length > 5_000;
    const contenders = present.filter(
      (contender) => !(big && contender.small) && !(contender.chainOnly && !scenario.name.startsWith('chain')),
    );
    const times = new Map<string, number[]>(contenders.map((contender) => [contender.name, []]));
    for (let round = 0; round < (big ? Math.min(3, rounds) : rounds); round++) {
      // Each round begins with another, so that nobody always runs in the wake of the one that writes most.
      const order = contenders.map((_, index) => contenders[(index + round) % contenders.length]!);
      for (const contender of order) times.get(contender.name)!.push(time(contender, scenario, folder));
    }
    const medians = new Map([...times].map(([name, list]) => [name, median(list)]));
    console.log(`\n${scenario.name}`);
    for (const [name, value] of medians) {
      const against = [...medians].filter(([other]) => !other.startsWith('stationmaster'));
      const ratios = name.startsWith('stationmaster')
        ? against.map(([other, theirs]) => `${(value / theirs).toFixed(2)} × ${other}`).join(', ')
        : '';
      console.log(`  ${name.padEnd(24)} ${value.toFixed(0).padStart(6)} ms  ${ratios}`);
    }
  }
}

function startUp(temporary: string): void {
  const folder = join(temporary, 'start');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'w.workflow.yaml'), 'steps: { a: { run: date +%s%N > first } }\n');
  const nodes: number[] = [];
  const firsts: number[] = [];
  for (let round = 0; round < rounds * 2; round++) {
    const before = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    nodes.push(performance.now() - before);
    const started = Date.now() + (performance.now() % 1);
    const done = spawnSync(process.execPath, [bin, 'run', 'w.workflow.yaml', '--no-ask', '--workspace', '.'], {
      cwd: folder,
    });
    if (done.status !== 0) throw new Error(done.stderr.toString());
    const first = Number(spawnSync('cat', [join(folder, 'first')]).stdout.toString()) / 1e6;
    firsts.push(first - started);
  }
  const [node, first] = [median(nodes), median(firsts)];
  console.log(
    `\nstart → first step runs\n  node -e 0                ${node.toFixed(0).padStart(6)} ms\n  stationmaster            ${first.toFixed(0).padStart(6)} ms  ${(first / node).toFixed(2)} × node -e 0`,
  );
}

function planning(temporary: string): void {
  const folder = join(temporary, 'plan');
  mkdirSync(folder, { recursive: true });
  writeScenario(folder, SCENARIOS[4]!);
  const program = `
    import { readFileSync } from 'node:fs';
    import { checkWorkflow } from ${JSON.stringify(join(root, 'src/language/workflow/check.ts'))};
    import { canonicalPlan, createPlan } from ${JSON.stringify(join(root, 'src/language/workflow/plan.ts'))};
    const surroundings = { stations: () => [], agents: () => [], prompt: () => undefined, workflow: () => undefined };
    const text = readFileSync('w.workflow.yaml', 'utf8');
    const started = performance.now();
    const { checked } = checkWorkflow(text, surroundings);
    canonicalPlan(createPlan(checked, {}).value);
    console.log(performance.now() - started);`;
  const times = Array.from({ length: rounds }, () => {
    const done = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
      cwd: folder,
      encoding: 'utf8',
    });
    return Number(done.stdout);
  });
  console.log(
    `\n10,000 steps checked and planned, cold\n  stationmaster            ${median(times).toFixed(0).padStart(6)} ms`,
  );
}

function output(temporary: string): void {
  const folder = join(temporary, 'output');
  mkdirSync(folder, { recursive: true });
  const source = join(folder, 'fifty');
  writeFileSync(source, `${'x'.repeat(99)}\n`.repeat(500_000));
  const steps = [0, 1, 2, 3].map((i) => `  s${i}: { run: cat fifty }`).join('\n');
  writeFileSync(join(folder, 'w.workflow.yaml'), `limits: { parallel: 4 }\nsteps:\n${steps}\n`);
  const ours: number[] = [];
  const floor: number[] = [];
  let memory = 0;
  for (let round = 0; round < rounds; round++) {
    rmSync(join(folder, '.stationmaster'), { recursive: true, force: true });
    let started = performance.now();
    spawnSync('sh', ['-c', 'for i in 0 1 2 3; do cat fifty > out.$i & done; wait'], { cwd: folder });
    floor.push(performance.now() - started);
    started = performance.now();
    const args = ['-f', '%M', process.execPath, bin, 'run', 'w.workflow.yaml', '--no-ask', '--workspace', '.'];
    const done = spawnSync('/usr/bin/time', args, { cwd: folder, encoding: 'utf8' });
    ours.push(performance.now() - started);
    memory = Math.max(memory, Number(done.stderr.trim().split('\n').pop()));
  }
  const start = median(Array.from({ length: rounds }, () => time(CONTENDERS[0]!, SCENARIOS[0]!, emptyRun(temporary))));
  const rate = (milliseconds: number) => `${(200 / (milliseconds / 1000)).toFixed(0)} MB/s`;
  console.log(`\nfour steps printing 50 MB each
  cat > file               ${median(floor).toFixed(0).padStart(6)} ms  ${rate(median(floor))}
  stationmaster            ${median(ours).toFixed(0).padStart(6)} ms, of which ${start.toFixed(0)} ms without any output; the rest is ${rate(Math.max(1, median(ours) - start))}, ${(median(floor) / Math.max(1, median(ours) - start)).toFixed(2)} × cat > file
  peak memory of the host  ${(memory / 1024).toFixed(0).padStart(6)} MB`);
}

/** A folder with four steps that print nothing: what is not about output. */
function emptyRun(temporary: string): string {
  const folder = join(temporary, 'empty');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'w.workflow.yaml'),
    `limits: { parallel: 4 }\nsteps:\n${[0, 1, 2, 3].map((i) => `  s${i}: { run: "true" }`).join('\n')}\n`,
  );
  return folder;
}

await buildAll();
const temporary = mkdtempSync(join(tmpdir(), 'stationmaster-bench-'));
try {
  startUp(temporary);
  planning(temporary);
  output(temporary);
  graphs(temporary);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
