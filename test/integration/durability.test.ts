import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startTimeOf } from '../../src/system/process-identity.ts';
import { until, Workspace } from '../rig/workspace.ts';

const BIN = join(import.meta.dirname, '../../dist/stationmaster.mjs');

describe('durability', () => {
  let w: Workspace;
  beforeEach(() => {
    w = new Workspace();
  });
  afterEach(() => w.remove());

  async function startRun(text: string, ...args: string[]) {
    w.write('test.workflow.yaml', text);
    const started = w.start('run', 'test.workflow.yaml', '--json', '--no-ask', ...args);
    const run = await until('the run has an id', () => /"run":"(\w+)"/.exec(started.output())?.[1]);
    return { ...started, run };
  }

  it('joins steps that go on after their host was killed, without starting them again', async () => {
    const r = await startRun(
      'steps: { a: { run: "echo once >> a.txt; sleep 1.2; echo end >> a.txt" }, b: { depends_on: a, run: echo b } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    r.child.kill('SIGKILL');
    await r.ended;
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('a.txt'), 'once\nend\n');
    assert.equal(done.steps['a']!.attempts, 1);
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('remembers what ended while nobody was there', async () => {
    const r = await startRun(
      'steps: { a: { run: "echo once >> a.txt; sleep 0.5; echo v=1 >> $STATIONMASTER_OUTPUT" }, b: { depends_on: a, run: echo b } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    r.child.kill('SIGKILL');
    await until('its runner is gone', () => w.leftovers(r.run).length === 0);
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('a.txt'), 'once\n');
    assert.deepEqual(done.steps['a']!.outputs, { v: '1' });
  });

  it('joins a script that was on its way before the first commit', async () => {
    const r = await startRun('steps: { a: { run: "echo once >> a.txt; sleep 1; echo end >> a.txt" } }');
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    r.child.kill('SIGKILL');
    await r.ended;
    // As if the host had died in the milliseconds between handing the script over and its commit.
    const database = new DatabaseSync(join(w.path, '.stationmaster/runs.db'));
    database.exec("DELETE FROM events WHERE seq > 1; UPDATE runs SET status = 'queued', started_at = NULL");
    database.close();
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('a.txt'), 'once\nend\n');
    assert.equal(done.steps['a']!.attempts, 1);
  });

  it('ends what runs when the grace is over, and runs it again on resume', async () => {
    w.env['STATIONMASTER_ORPHAN_GRACE'] = '300';
    const r = await startRun(
      'steps: { a: { run: "echo $STATIONMASTER_ATTEMPT >> a.txt; test $STATIONMASTER_ATTEMPT = 2 || sleep 60" } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    r.child.kill('SIGKILL');
    await until('everything is gone', () => w.leftovers(r.run).length === 0);
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('a.txt'), '1\n2\n');
  });

  it('ends what is left when host and runner are both killed', async () => {
    const r = await startRun(
      'steps: { a: { run: "echo $STATIONMASTER_ATTEMPT >> a.txt; test $STATIONMASTER_ATTEMPT = 2 || sleep 60" } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    r.child.kill('SIGKILL');
    for (const pid of w.leftovers(r.run))
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner')) process.kill(pid, 'SIGKILL');
    await until('the sleep is alone', () => w.leftovers(r.run).length > 0);
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('ends a process that hides its mark, by its record of pid and start time', async function () {
    if (process.platform !== 'linux') return this.skip();
    const r = await startRun(
      'steps: { a: { run: "exec env -i sh -c \'echo $$ > pid; exec sleep 60\'" }, b: { depends_on: a, run: echo } }',
    );
    const pid = await until('a runs', () => existsSync(join(w.path, 'pid')) && Number(w.read('pid')));
    await new Promise((resolve) => setTimeout(resolve, 300));
    r.child.kill('SIGKILL');
    for (const other of w.leftovers(r.run)) process.kill(other, 'SIGKILL');
    assert.notEqual(startTimeOf(pid), undefined);
    w.write('other.workflow.yaml', 'steps: { x: { run: echo } }');
    await w.cli('run', 'other.workflow.yaml');
    await until('it is gone', () => startTimeOf(pid) === undefined);
  });

  it('replaces a runner that dies, and says what was lost', async () => {
    const r = await startRun(
      'steps: { a: { run: "echo x >> a.txt; sleep 60" }, b: { depends_on: a, when: failure(), run: echo b } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    for (const pid of w.leftovers(r.run))
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner')) process.kill(pid, 'SIGKILL');
    const { code, stdout } = await r.ended;
    assert.equal(code, 1);
    const last = JSON.parse(stdout.trim().split('\n').pop()!);
    assert.equal(last.steps.a.failure.reason, 'runner-lost');
    assert.equal(last.steps.b.status, 'completed');
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('keeps a service over the death of its host', async () => {
    w.write(
      'server.mjs',
      "import { createServer } from 'node:http'; createServer((q, s) => s.end(String(process.pid))).listen(Number(process.env.PORT));",
    );
    const r = await startRun(`
steps:
  serve: { launch: exec node server.mjs, port: auto, ready: { url: "http://127.0.0.1:\${{ port }}/" } }
  wait: { depends_on: serve, run: "echo x > waiting; sleep 1" }
  ask: { depends_on: wait, env: { P: "\${{ steps.serve.outputs.port }}" }, run: "node -e 'fetch(\`http://127.0.0.1:\${process.env.P}/\`).then(r=>r.text()).then(console.log)'" }
`);
    await until('the service is ready', () => existsSync(join(w.path, 'waiting')));
    r.child.kill('SIGKILL');
    await r.ended;
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(done.steps['serve']!.attempts, 1);
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('launches a service again that did not outlive its host, for those that still need it', async () => {
    w.env['STATIONMASTER_ORPHAN_GRACE'] = '0';
    w.write(
      'server.mjs',
      "import { createServer } from 'node:http'; createServer((q, s) => s.end('x')).listen(Number(process.env.PORT));",
    );
    const r = await startRun(`
steps:
  serve: { launch: exec node server.mjs, port: auto, ready: { url: "http://127.0.0.1:\${{ port }}/" } }
  before: { depends_on: serve, run: echo before >> order.txt }
  wait: { depends_on: before, run: "test -f go || { echo x > waiting; sleep 20; }" }
  after: { depends_on: wait, env: { P: "\${{ steps.serve.outputs.port }}" }, run: "node -e 'fetch(\`http://127.0.0.1:\${process.env.P}/\`).then(r=>r.text()).then(console.log)'" }
`);
    await until('it waits', () => existsSync(join(w.path, 'waiting')));
    r.child.kill('SIGKILL');
    await until('everything is gone', () => w.leftovers(r.run).length === 0);
    w.write('go', '');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('order.txt'), 'before\n');
  });

  it('cancels cleanly on one Ctrl-C, with clean-up, and at once on two', async () => {
    const once = await startRun(
      'steps: { a: { run: "echo x > a.txt; sleep 60" }, clean: { depends_on: a, when: always(), run: echo cleaned > clean.txt } }',
    );
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    once.child.kill('SIGINT');
    assert.equal((await once.ended).code, 130);
    assert.equal(w.read('clean.txt'), 'cleaned\n');
    assert.deepEqual(w.leftovers(once.run), []);

    w.env['STATIONMASTER_KILL_GRACE'] = '30000';
    const twice = await startRun('steps: { a: { run: "trap \'\' TERM; echo x > b.txt; while :; do sleep 1; done" } }');
    await until('a runs', () => existsSync(join(w.path, 'b.txt')));
    twice.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 300));
    twice.child.kill('SIGINT');
    assert.equal((await twice.ended).code, 130);
    assert.deepEqual(w.leftovers(twice.run), []);
  });

  it('lets one process drive, and another watch and wish', async () => {
    const r = await startRun(
      'steps: { a: { run: "echo first; sleep 1; echo last" }, q: { depends_on: a, run: sleep 30 } }',
    );
    const resumed = await w.cli('resume', r.run);
    assert.equal(resumed.code, 1);
    assert.match(resumed.stderr, /driven by another process/);
    const following = w.start('logs', r.run, 'a', '--follow');
    await until('the log is followed', () => following.output().includes('last'));
    assert.equal((await w.cli('cancel', r.run)).code, 0);
    assert.equal((await r.ended).code, 130);
    assert.match((await following.ended).stdout, /^first\nlast\n$/);
  });

  it('pauses from outside and goes on', async () => {
    const r = await startRun('steps: { a: { run: "echo x > a.txt; sleep 0.5" }, b: { depends_on: a, run: echo b } }');
    await until('a runs', () => existsSync(join(w.path, 'a.txt')));
    await w.cli('pause', r.run);
    await until('it is paused', () => r.output().includes('"run.paused"'));
    await until('a ended', () => r.output().includes('"step.completed"'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(!r.output().includes('"step":"b"'));
    assert.match((await w.cli('resume', r.run)).stdout, /goes on in the process that drives it/);
    assert.equal((await r.ended).code, 0);
  });

  it('keeps runs of a group apart: queue, reject, cancel_running', async () => {
    const text = (conflict: string) =>
      `concurrency: { group: "g-\${{ inputs.x }}", on_conflict: ${conflict} }\ninputs: { x: { default: one } }\nsteps: { a: { run: "echo start >> order.txt; sleep 0.8; echo end >> order.txt" } }`;
    const first = await startRun(text('queue'));
    await until('the first runs', () => existsSync(join(w.path, 'order.txt')));
    w.write('reject.workflow.yaml', text('reject'));
    const rejected = await w.cli('run', 'reject.workflow.yaml');
    assert.equal(rejected.code, 1);
    assert.match(rejected.stderr, /has not ended/);
    const second = await startRun(text('queue'));
    assert.equal((await first.ended).code, 0);
    assert.equal((await second.ended).code, 0);
    assert.equal(w.read('order.txt'), 'start\nend\nstart\nend\n');
    const third = await startRun(text('queue').replace('sleep 0.8', 'sleep 30'));
    await until('the third runs', () => w.read('order.txt').split('start').length === 4);
    const fourth = await startRun(text('cancel_running'));
    assert.equal((await third.ended).code, 130);
    assert.equal((await fourth.ended).code, 0);
  });

  it('resumes from the failed step and repeats nothing', async () => {
    const r = await w.run(
      'steps: { a: { run: echo a >> a.txt }, b: { depends_on: a, run: test -f ok }, c: { depends_on: b, run: echo c } }',
    );
    assert.equal(r.code, 1);
    w.write('ok', '');
    // The run keeps its own definition, whatever the file says now.
    w.write('test.workflow.yaml', 'steps: { other: { run: "false" } }');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('a.txt'), 'a\n');
    const again = await w.json('retry', r.run, 'a');
    assert.equal(again.code, 0);
    assert.equal(w.read('a.txt'), 'a\na\n');
    assert.equal(again.steps['c']!.attempts, 2);
  });

  it('refuses a damaged, a foreign and a newer store, and leaves it untouched', async () => {
    const file = join(w.path, '.stationmaster/runs.db');
    mkdirSync(join(w.path, '.stationmaster'), { recursive: true });
    writeFileSync(file, 'this is not a database, but a long enough text to be one '.repeat(100));
    const before = readFileSync(file);
    const damaged = await w.cli('runs');
    assert.equal(damaged.code, 1);
    assert.match(damaged.stderr, /damaged.*left untouched/);
    assert.deepEqual(readFileSync(file), before);

    const newer = new Workspace();
    await newer.cli('runs');
    const database = new DatabaseSync(join(newer.path, '.stationmaster/runs.db'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    const result = await newer.cli('runs');
    assert.match(result.stderr, /newer Stationmaster.*left untouched/);
    newer.remove();

    const foreign = new Workspace();
    mkdirSync(join(foreign.path, '.stationmaster'), { recursive: true });
    const other = new DatabaseSync(join(foreign.path, '.stationmaster/runs.db'));
    other.exec('CREATE TABLE mine (x)');
    other.close();
    assert.match((await foreign.cli('runs')).stderr, /another program.*left untouched/);
    foreign.remove();
  });

  it('says so when the folder cannot be written, and leaves it as it is', async function () {
    if (process.platform === 'win32') return this.skip();
    const root = process.getuid?.() === 0;
    chmodSync(join(w.path, '..'), 0o755);
    chmodSync(w.path, 0o555);
    // Nothing is read-only for root, so root asks somebody else.
    const who = root ? { uid: 65534, gid: 65534 } : {};
    const result = spawnSync(process.execPath, ['--no-warnings', BIN, 'runs', '--workspace', w.path], {
      ...who,
      cwd: '/',
      encoding: 'utf8',
      env: w.env,
    });
    chmodSync(w.path, 0o755);
    if (result.error) return this.skip();
    assert.equal(result.status, 1, result.stdout);
    assert.match(result.stderr, /cannot be opened.*Check that the folder can be written/);
    assert.ok(!existsSync(join(w.path, '.stationmaster')));
  });

  it('reads a store that was copied while in use', async () => {
    await w.run('steps: { a: { run: echo a } }');
    const copy = new Workspace();
    mkdirSync(join(copy.path, '.stationmaster'), { recursive: true });
    copyFileSync(join(w.path, '.stationmaster/runs.db'), join(copy.path, '.stationmaster/runs.db'));
    assert.equal((await copy.cli('runs')).code, 0);
    copy.remove();
  });

  it('cleans by number, and never what has not ended', async () => {
    for (let i = 0; i < 3; i++) await w.run('steps: { a: { run: echo a } }');
    const waiting = await w.run('steps: { q: { ask: { question: x } } }');
    assert.match((await w.cli('clean', '--keep', '1')).stdout, /removed 3 runs/);
    assert.equal((await w.cli('runs')).stdout.trim().split('\n').length, 1);
    assert.equal((await w.cli('show', waiting.run)).code, 0);
  });

  it('leaves no process behind, not even the runner', async () => {
    const r = await w.run('steps: { a: { run: "sh -c \'sleep 71 & echo $! > pid\'; echo" } }');
    assert.equal(r.code, 0);
    assert.deepEqual(w.leftovers(r.run), []);
    assert.equal(startTimeOf(Number(w.read('pid'))), undefined);
  });
});
