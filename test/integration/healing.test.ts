import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { Registry } from '../rig/registry.ts';
import { until, Workspace } from '../rig/workspace.ts';

describe('healing without a model', () => {
  let w: Workspace;
  let registry: Registry;
  before(async () => {
    registry = await Registry.start({ 'left-pad-ish': 'module.exports = (s, n) => String(s).padStart(n)' });
  });
  after(() => registry.stop());
  beforeEach(() => {
    w = new Workspace();
    w.env['npm_config_registry'] = registry.url;
    w.env['npm_config_cache'] = `${w.path}/../npm-cache`;
  });
  afterEach(() => w.remove());

  it('installs a package that the manifest lacks, and proves it by running again', async () => {
    w.write('package.json', '{ "name": "p", "version": "1.0.0" }');
    w.write('index.cjs', "console.log(require('left-pad-ish')('x', 3))");
    const r = await w.run('steps: { a: { run: node index.cjs, heal: true } }');
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.equal(r.steps['a']!.attempts, 2);
    assert.deepEqual(
      r.steps['a']!.healing!.actions.map((action) => [action.error_type, action.playbook, action.outcome]),
      [
        ['DependencyError', 'install-missing-package', 'applied'],
        ['DependencyError', 'install-missing-package', 'resolved'],
      ],
    );
    assert.equal(await w.log(r.run, 'a'), '  x\n');
    assert.match(w.read('package.json'), /"left-pad-ish": ?"\^1\.0\.0"/);
    assert.match((await w.cli('show', r.run)).stdout, /add left-pad-ish to package\.json and install it/);
  });

  it('says so when the registry has no such package, and asks', async () => {
    w.write('package.json', '{ "name": "p", "version": "1.0.0" }');
    w.write('index.cjs', "require('no-such-package-here')");
    const r = await w.run('steps: { a: { run: node index.cjs, heal: true } }');
    assert.equal(r.code, 3);
    assert.match(r.questions[0]!.text, /the npm registry has no package called no-such-package-here/);
    assert.deepEqual(r.questions[0]!.options, ['retry', 'skip', 'help']);
  });

  it('says so when the registry cannot be reached, and offers the choices', async () => {
    w.env['npm_config_registry'] = 'http://127.0.0.1:9/';
    w.env['npm_config_fetch_retries'] = '0';
    w.write('package.json', '{ "name": "p", "version": "1.0.0", "dependencies": { "left-pad-ish": "1" } }');
    w.write('index.cjs', "require('left-pad-ish')");
    const r = await w.run('steps: { a: { run: node index.cjs, heal: true }, b: { depends_on: a, run: echo b } }');
    assert.equal(r.code, 3, JSON.stringify(r));
    assert.match(r.questions[0]!.text, /registry cannot be reached/);
    await w.cli('answer', r.run, 'skip');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0);
    assert.equal(done.steps['a']!.status, 'skipped');
    assert.equal(done.steps['b']!.status, 'completed');
  });

  it('makes a missing env file from its example, inside build-test', async () => {
    w.write('.env.example', 'KEY=1\n');
    const r = await w.run(
      'steps: { a: { use: build-test, with: { build: "true", test: ". ./.env && test \\"$KEY\\" = 1" }, heal: true } }',
    );
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.equal(w.read('.env'), 'KEY=1\n');
    assert.equal(r.steps['a']!.healing!.actions[0]!.error_type, 'ConfigError');
  });

  it('takes another port when somebody else has the one it wants', async () => {
    const server = await listen();
    const port = (server.address() as { port: number }).port;
    w.write(
      'server.mjs',
      "import { createServer } from 'node:http'; createServer((q, s) => s.end('mine')).listen(Number(process.env.PORT));",
    );
    try {
      const r = await w.run(`
steps:
  serve: { launch: exec node server.mjs, port: ${port}, ready: { url: "http://127.0.0.1:\${{ port }}/" }, heal: true }
  smoke: { depends_on: serve, env: { P: "\${{ steps.serve.outputs.port }}" }, run: "node -e 'fetch(\`http://127.0.0.1:\${process.env.P}/\`).then(r=>r.text()).then(console.log)'" }
`);
      assert.equal(r.code, 0, JSON.stringify(r));
      assert.notEqual(r.steps['serve']!.outputs['port'], port);
      assert.equal(await w.log(r.run, 'smoke'), 'mine\n');
    } finally {
      server.close();
    }
  });

  it('ends an orphan of ours that holds the port', async () => {
    const server = await listen();
    const port = (server.address() as { port: number }).port;
    await new Promise((resolve) => server.close(resolve));
    w.write(
      'server.mjs',
      "import { createServer } from 'node:http'; createServer((q, s) => s.end('x')).listen(Number(process.env.PORT));",
    );
    const text = `steps: { serve: { launch: exec node server.mjs, port: ${port}, ready: { url: "http://127.0.0.1:${port}/" }, heal: true }, q: { depends_on: serve, run: sleep 30 } }`;
    w.write('test.workflow.yaml', text);
    w.env['STATIONMASTER_ORPHAN_GRACE'] = '60000';
    const first = w.start('run', 'test.workflow.yaml', '--json', '--no-ask');
    await until('the service runs', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      ),
    );
    first.child.kill('SIGKILL');
    await first.ended;
    // Its runner keeps it for the grace period; a second run wants the same port now.
    const r = await w.run(text.replace('sleep 30', 'echo done'));
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.match(r.steps['serve']!.healing!.actions[0]!.description, /left over from an earlier run/);
    assert.equal(r.steps['serve']!.outputs['port'], port);
  });

  it('stops at a guardrail, and counts over a restart', async () => {
    // Each attempt lacks another file, so every fix is progress and only the count of attempts stops it.
    w.write('.env.example', 'A=1\n');
    const text = 'steps: { a: { run: "rm -f .env.local; cat .env.local", heal: { max_attempts_per_error: 2 } } }';
    w.write('.env.local.example', 'A=1\n');
    const r = await w.run(text);
    assert.equal(r.code, 3);
    assert.match(r.questions[0]!.text, /2 fixes were tried for ConfigError, the limit.*attempts-per-error/);
    await w.cli('answer', r.run, 'retry');
    const again = await w.json('resume', r.run);
    assert.equal(again.code, 3);
    assert.match(again.questions[0]!.text, /2 fixes were tried/);
    assert.equal(again.steps['a']!.attempts, 4);
  });

  it('asks before it applies when told to, and applies what was agreed', async () => {
    w.write('.env.example', 'KEY=1\n');
    const r = await w.run('steps: { a: { run: cat .env, heal: { apply: ask } } }');
    assert.equal(r.code, 3);
    assert.match(r.questions[0]!.text, /Proposed fix \(env-from-example\): copy \.env\.example to \.env/);
    await w.cli('answer', r.run, 'apply');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(w.read('.env'), 'KEY=1\n');
  });

  it('never applies when told so', async () => {
    w.write('.env.example', 'KEY=1\n');
    const r = await w.run('steps: { a: { run: cat .env, heal: { apply: never } } }');
    assert.equal(r.code, 3);
    assert.match(r.questions[0]!.text, /apply: never/);
  });

  it('asks when it knows nothing, and takes help in words', async () => {
    const r = await w.run('steps: { a: { run: "test -f fixed || { echo mystery; exit 3; }", heal: true } }');
    assert.equal(r.code, 3);
    assert.match(r.questions[0]!.text, /no playbook knows this error/);
    w.write('fixed', '');
    await w.cli('answer', r.run, 'help', '--text', 'I made the file');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
  });
});

function listen(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, () => resolve(server));
  });
}
