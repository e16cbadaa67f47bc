import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Summary, until, Workspace } from '../rig/workspace.ts';

/*
 * A run with a bit of everything, whose host is killed with -9 at random moments until it gets through. Each step writes one
 * line to a file of its own when it has done its work; a completed step must have exactly one.
 */
const WORKFLOW = `
limits: { parallel: 3 }
steps:
  a: { run: "sleep 0.2; echo x >> done-a; echo v=1 >> $STATIONMASTER_OUTPUT" }
  b: { depends_on: a, env: { V: "\${{ steps.a.outputs.v }}" }, run: "sleep 0.25; echo $V >> done-b", retry: { max_attempts: 3, delay: 20ms } }
  serve: { depends_on: a, launch: exec node server.mjs, port: auto, ready: { url: "http://127.0.0.1:\${{ port }}/" } }
  each: { depends_on: a, for_each: [1, 2, 3], env: { I: "\${{ item }}" }, run: "sleep 0.2; echo x >> done-each-$I; echo i=$I >> $STATIONMASTER_OUTPUT" }
  flaky: { depends_on: a, run: "test -f flaky || { touch flaky; exit 1; }; echo x >> done-flaky", retry: { max_attempts: 5, delay: 30ms } }
  call: { depends_on: [serve, b], env: { P: "\${{ steps.serve.outputs.port }}" }, run: "sleep 0.2; node call.mjs; echo x >> done-call" }
  make: { depends_on: b, run: "echo content > made.txt; echo x >> done-make", produces: { made: made.txt } }
  end: { depends_on: [each, flaky, call, make], env: { T: "\${{ artifacts.make.made.text }}", L: "\${{ steps.each.outputs.items }}" }, run: "test -n \\"$T$L\\"; echo x >> done-end" }
`;

const FILES = ['a', 'b', 'each-1', 'each-2', 'each-3', 'flaky', 'call', 'make', 'end'];
const STEPS = ['a', 'b', 'each[0]', 'each[1]', 'each[2]', 'flaky', 'call', 'make', 'end'];

export interface KillResult {
  readonly kills: number;
  readonly problems: string[];
}

/** Kills one run's host up to `kills` times, `pick` giving the delays in [0, 1), and checks what is left. */
export async function killRun(kills: number, pick: () => number, alsoRunner: boolean): Promise<KillResult> {
  const w = new Workspace({
    'server.mjs':
      "import { createServer } from 'node:http'; createServer((q, s) => s.end('x')).listen(Number(process.env.PORT));",
    'call.mjs': "process.exit((await (await fetch(`http://127.0.0.1:${process.env.P}/`)).text()) === 'x' ? 0 : 1)",
    'test.workflow.yaml': WORKFLOW,
  });
  const problems: string[] = [];
  let done = 0;
  try {
    let host = w.start('run', 'test.workflow.yaml', '--json', '--no-ask');
    const run = await until('the run has an id', () => /"run":"(\w+)"/.exec(host.output())?.[1]);
    let summary: Summary | undefined;
    // Steps that the journal said had completed before a kill, and how often they had been started by then.
    const completed = new Map<string, number>();
    for (let i = 0; i < kills + 3 && !summary; i++) {
      if (i < kills) {
        await new Promise((resolve) => setTimeout(resolve, pick() < 0.25 ? pick() * 30 : 40 + pick() * 400));
        if (alsoRunner && pick() < 0.5) killRunner(w, run);
        if (host.child.exitCode === null) done++;
        host.child.kill('SIGKILL');
      }
      const { stdout } = await host.ended;
      const last = stdout.trim().split('\n').pop() ?? '';
      if (last.includes('"run.finished"')) {
        summary = JSON.parse(last) as Summary;
        break;
      }
      const shown = await w.json('show', run);
      for (const [step, state] of Object.entries(shown.steps)) {
        const before = completed.get(step);
        // A service ends with its host and is launched again: it is the one thing that may.
        if (before !== undefined && state.attempts !== before && step !== 'serve')
          problems.push(`${step} ran again after it had completed`);
        if (state.status === 'completed') completed.set(step, state.attempts);
      }
      host = w.start('resume', run, '--json', '--no-ask');
    }
    summary ??= await finished(w, run);
    if (summary.status !== 'completed')
      problems.push(`the run ended as ${summary.status}: ${JSON.stringify(summary.steps)}`);
    for (const [index, name] of FILES.entries()) check(w, name, STEPS[index]!, summary, alsoRunner, problems);
    const items = summary.steps['each']?.outputs['items'];
    if (JSON.stringify(items) !== '[{"i":"1"},{"i":"2"},{"i":"3"}]')
      problems.push(`outputs differ: ${JSON.stringify(items)}`);
    const left = w.leftovers(run);
    if (left.length > 0)
      problems.push(
        `${left.length} processes survive: ${left.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')).join('; ')}`,
      );
    const port = summary.steps['serve']?.outputs['port'];
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      problems.push(`port ${port} survives`);
  } finally {
    w.remove();
  }
  return { kills: done, problems };
}

function check(
  w: Workspace,
  name: string,
  step: string,
  summary: Summary,
  alsoRunner: boolean,
  problems: string[],
): void {
  const file = join(w.path, `done-${name}`);
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 0;
  const attempts = summary.steps[step]?.attempts ?? 0;
  if (lines === 0) problems.push(`${step} completed and did nothing`);
  // Work can be done twice only where an attempt was cut down with its runner before anybody knew that it had ended.
  if (lines > 1 && !(alsoRunner && attempts > 1))
    problems.push(`${step} did its work ${lines} times in ${attempts} attempts`);
}

async function finished(w: Workspace, run: string): Promise<Summary> {
  const shown = await w.json('show', run);
  return shown.status === 'completed' ? shown : w.json('resume', run);
}

function killRunner(w: Workspace, run: string): void {
  for (const pid of w.leftovers(run)) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner.mjs')) process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}

/** Numbers in [0, 1) that a seed decides, so that a failure can be looked at again. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
