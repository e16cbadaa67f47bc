import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Workspace } from '../rig/workspace.ts';

const BIN = join(import.meta.dirname, '../../dist/stationmaster.mjs');

describe('the command line', () => {
  let w: Workspace;
  beforeEach(() => {
    w = new Workspace();
  });
  afterEach(() => w.remove());

  it('teaches: help for all and for each command', async () => {
    const all = await w.cli('--help');
    assert.equal(all.code, 0);
    for (const name of [
      'run',
      'plan',
      'check',
      'runs',
      'show',
      'logs',
      'artifacts',
      'resume',
      'retry',
      'continue',
      'answer',
      'pause',
      'cancel',
      'clean',
      'completion',
    ]) {
      assert.match(all.stdout, new RegExp(`^  ${name} `, 'm'));
      const one = await w.cli(name, '--help');
      assert.match(one.stdout, new RegExp(`usage: stationmaster ${name} `));
      assert.ok(!one.stdout.includes('undefined'), one.stdout);
    }
  });

  it('exits with 2 on wrong usage, and names the nearest', async () => {
    const unknown = await w.cli('rnu');
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /did you mean "run"/);
    assert.equal((await w.cli('run')).code, 2);
    assert.equal((await w.cli('run', 'nowhere.workflow.yaml')).code, 2);
    assert.equal((await w.cli('run', 'x', '--frobnicate')).code, 2);
    assert.equal((await w.cli('show', 'zzz')).code, 2);
    assert.equal((await w.cli('runs', '--workspace', '/nowhere/at/all')).code, 2);
  });

  it('shows diagnostics at their place, in three formats', async () => {
    w.write('bad.workflow.yaml', 'steps:\n  a:\n    runn: echo\n');
    w.write('good.prompt', '---\nschema: { a: string }\n---\n{{a}}\n');
    const text = await w.cli('check');
    assert.equal(text.code, 2);
    assert.match(
      text.stdout,
      /^bad\.workflow\.yaml:3:5: "a" has no key "runn"; did you mean "run"\? \[unknown-key\]$/m,
    );
    const json = await w.cli('check', 'bad.workflow.yaml', '--format', 'json');
    assert.deepEqual(Object.keys(JSON.parse(json.stdout.split('\n')[0]!)), [
      'file',
      'line',
      'column',
      'end',
      'severity',
      'code',
      'message',
    ]);
    const sarif = JSON.parse((await w.cli('check', '--format', 'sarif')).stdout);
    assert.equal(sarif.runs[0].results.length, 2);
    assert.equal((await w.cli('check', 'good.prompt')).code, 0);
    const run = await w.cli('run', 'bad.workflow.yaml');
    assert.equal(run.code, 2);
    assert.match(run.stderr, /bad\.workflow\.yaml:3:5/);
  });

  it('plans without running, the same twice', async () => {
    w.write(
      'p.workflow.yaml',
      'inputs: { n: { type: integer, required: true } }\nlimits: { time: 1h, cost: 5 USD }\nsteps: { a: { run: touch ran }, b: { run: x, depends_on: a, heal: true } }',
    );
    const text = await w.cli('plan', 'p.workflow.yaml', '-i', 'n=3');
    assert.equal(text.code, 0, text.stderr);
    assert.match(
      text.stdout,
      /1\.\n {3}a: run touch ran\n2\.\n {3}b: run x \(after a; heals, at most 15 rounds in 5m 0s\)\nceilings: 1h 0m, 5 USD/,
    );
    const json = (await w.cli('plan', 'p.workflow.yaml', '-i', 'n=3', '--format', 'json')).stdout;
    assert.equal(json, (await w.cli('plan', 'p.workflow.yaml', '-i', 'n=3', '--format', 'json')).stdout);
    assert.match((await w.cli('plan', 'p.workflow.yaml', '-i', 'n=3', '--format', 'mermaid')).stdout, /a --> b/);
    assert.throws(() => w.read('ran'));
    const missing = await w.cli('plan', 'p.workflow.yaml');
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /input "n" is required/);
    assert.match((await w.cli('plan', 'p.workflow.yaml', '-i', 'n=x')).stderr, /input "n" is of type integer/);
  });

  it('prints one JSON event a line, each with type, run and at, and the summary last', async () => {
    w.write('t.workflow.yaml', 'steps: { a: { run: echo x }, b: { run: exit 3, depends_on: a } }');
    const { stdout, code } = await w.cli('run', 't.workflow.yaml', '--json');
    assert.equal(code, 1);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const event of events)
      for (const key of ['type', 'run', 'at'])
        assert.ok(event[key] !== undefined, `${JSON.stringify(event)} has no ${key}`);
    const last = events[events.length - 1];
    assert.equal(last.type, 'run.finished');
    assert.deepEqual(last.steps.b.failure, {
      type: 'Unknown',
      reason: 'exit-code',
      message: '`exit 3` ended with exit code 3',
    });
    const shown = JSON.parse((await w.cli('show', last.run.slice(0, 9), '--json')).stdout);
    assert.deepEqual(shown.steps, last.steps);
    assert.equal(JSON.parse((await w.cli('runs', '--json')).stdout).run, last.run);
  });

  it('prints plain lines when nobody watches, without escape sequences from anywhere', async () => {
    w.write(
      't.workflow.yaml',
      'name: "evil \\e[2J"\nsteps: { a: { run: "printf \'\\\\033[31mred\'; exit 1", heal: true } }',
    );
    const { stdout } = await w.cli('run', 't.workflow.yaml');
    assert.ok(!/\x1b\[(?!\d*m)/.test(stdout), JSON.stringify(stdout));
  });

  it('completes in three shells', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) assert.match((await w.cli('completion', shell)).stdout, /artifacts/);
    const script = (await w.cli('completion', 'bash')).stdout;
    const done = spawnSync(
      'bash',
      ['-c', `${script}\nCOMP_WORDS=(stationmaster ar); COMP_CWORD=1; _stationmaster; echo "\${COMPREPLY[@]}"`],
      { encoding: 'utf8' },
    );
    assert.equal(done.stdout.trim(), 'artifacts');
  });

  it('never writes an artifact over a file', async () => {
    const r = await w.run('steps: { a: { run: echo x > out.txt, produces: { o: out.txt } } }');
    w.write('mine.txt', 'precious');
    assert.equal((await w.cli('artifacts', r.run, 'a/o', '--out', 'mine.txt')).code, 1);
    assert.equal(w.read('mine.txt'), 'precious');
    assert.equal((await w.cli('artifacts', r.run, 'a/o@1', '--out', 'new.txt')).code, 0);
    assert.equal(w.read('new.txt'), 'x\n');
  });

  it('rolls an artifact back, makes stale what depends on it, and touches no file that was changed', async () => {
    const r = await w.run(
      'steps: { a: { run: "date +%N > out.txt", produces: { o: out.txt } }, b: { depends_on: a, mount: { in.txt: a.o }, run: cat in.txt > seen.txt } }',
    );
    const first = w.read('out.txt');
    await w.json('retry', r.run, 'a');
    assert.notEqual(w.read('out.txt'), first);
    assert.match((await w.cli('rollback', r.run, 'a/o@7')).stderr, /there are @1, @2/);
    w.write('out.txt', 'mine');
    const refused = await w.cli('rollback', r.run, 'a/o@1');
    assert.match(refused.stderr, /was changed since/);
    assert.equal(w.read('out.txt'), 'mine');
    w.write('out.txt', (await w.cli('artifacts', r.run, 'a/o@2')).stdout);
    const done = await w.cli('rollback', r.run, 'a/o@1');
    assert.match(done.stdout, /stale now: b/);
    assert.equal(w.read('out.txt'), first);
    const again = await w.json('resume', r.run);
    assert.equal(again.code, 0, JSON.stringify(again));
    assert.equal(w.read('seen.txt'), first);
    assert.equal(again.steps['a']!.attempts, 2);
  });

  it('asks at a terminal, takes fields of their type, and goes on', async function () {
    // `script` gives a terminal; without it there is none to be had here.
    if (spawnSync('script', ['--version']).status !== 0) return this.skip();
    w.write(
      't.workflow.yaml',
      'steps: { q: { ask: { question: Ship it?, options: [ship, rework], fields: { n: { type: integer, required: true } } } }, z: { depends_on: q, env: { N: "${{ steps.q.outputs.n + 1 }}" }, run: echo $N > n.txt } }',
    );
    const child = spawn(
      'script',
      ['-qec', `'${process.execPath}' --no-warnings '${BIN}' run t.workflow.yaml`, '/dev/null'],
      { cwd: w.path, env: w.env },
    );
    let screen = '';
    // Each answer is given once, when its prompt is on the screen.
    const answers: [RegExp, string][] = [
      [/> /, 'sh\n'],
      [/n: /, 'x\n'],
      [/not of type integer[\s\S]*n: /, '41\n'],
    ];
    child.stdout.on('data', (chunk) => {
      screen += chunk;
      const next = answers[0];
      if (!next?.[0].test(screen)) return;
      answers.shift();
      child.stdin.write(next[1]);
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const code = await new Promise((resolve) => child.on('close', resolve));
    clearTimeout(limit);
    assert.equal(code, 0, screen);
    assert.equal(w.read('n.txt'), '42\n');
    assert.equal(screen.split('Ship it?').length, 2, 'the question was shown more than once');
  });
});
