import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Workspace } from '../rig/workspace.ts';

describe('steps', () => {
  let w: Workspace;
  beforeEach(() => {
    w = new Workspace();
  });
  afterEach(() => w.remove());

  it('runs shell and Python, passes outputs on, keeps types', async () => {
    const r = await w.run(`
steps:
  a:
    run: |
      echo "n=41" >> "$STATIONMASTER_OUTPUT"
      printf 'text<<END\\ntwo\\nlines\\nEND\\n' >> "$STATIONMASTER_OUTPUT"
    outputs: { n: integer, text: string }
  b:
    depends_on: a
    env: { N: "\${{ steps.a.outputs.n + 1 }}", T: "\${{ steps.a.outputs.text }}" }
    python: |
      import os
      print(os.environ["N"], repr(os.environ["T"]))
`);
    assert.equal(r.code, 0, r.stderr);
    assert.deepEqual(r.steps['a']!.outputs, { n: 41, text: 'two\nlines' });
    assert.equal(await w.log(r.run, 'b'), "42 'two\\nlines'\n");
  });

  it('knows who it is, and keeps its key over attempts', async () => {
    const r = await w.run(`
steps:
  a:
    retry: { max_attempts: 2, delay: 10ms }
    run: |
      echo "$STATIONMASTER_STEP_ID $STATIONMASTER_ATTEMPT $STATIONMASTER_IDEMPOTENCY_KEY" >> all.txt
      test "$STATIONMASTER_ATTEMPT" = 2
`);
    const lines = w.read('all.txt').trim().split('\n');
    assert.deepEqual(lines, [`a 1 ${r.run}:a:1`, `a 2 ${r.run}:a:1`]);
    assert.equal(r.steps['a']!.attempts, 2);
  });

  it('stores products, artifacts and summaries with versions, and mounts them', async () => {
    const r = await w.run(`
steps:
  a:
    run: |
      echo plan > plan.md
      mkdir -p "$STATIONMASTER_ARTIFACTS/deep"; echo x > "$STATIONMASTER_ARTIFACTS/deep/x.txt"
      echo "# done" > "$STATIONMASTER_SUMMARY"
  c: { run: "echo product > out.txt", produces: { out: out.txt } }
  b:
    depends_on: [a, c]
    mount: { in/mounted.txt: c.out }
    env: { TEXT: "\${{ artifacts.c.out.text }}", V: "\${{ artifacts.c.out.version }}" }
    run: cat in/mounted.txt; echo "$TEXT v$V"
`);
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.deepEqual(r.steps['a']!.artifacts!.map((a) => a.name).sort(), ['deep/x.txt', 'summary']);
    assert.equal(await w.log(r.run, 'b'), 'product\nproduct\n v1\n');
    assert.equal((await w.cli('artifacts', r.run, 'c/out')).stdout, 'product\n');
  });

  it('fails a step that did not produce what it declares', async () => {
    const r = await w.run('steps: { a: { run: "true", produces: { out: out.txt } } }');
    assert.equal(r.code, 1);
    assert.equal(r.steps['a']!.failure!.reason, 'missing-product');
  });

  it('never mounts over a file of the person', async () => {
    w.write('mine.txt', 'precious');
    const r = await w.run(`
steps:
  a: { run: "echo x > out.txt", produces: { out: out.txt } }
  b: { depends_on: a, mount: { mine.txt: a.out }, run: cat mine.txt }
`);
    assert.match(r.steps['b']!.failure!.message, /mine\.txt exists and holds something else/);
    assert.equal(w.read('mine.txt'), 'precious');
  });

  it('gives secrets only to steps that name them, and masks them everywhere', async () => {
    w.env['TOKEN'] = 'tok-5ecret"value';
    const r = await w.run(`
secrets: [TOKEN]
steps:
  without: { run: 'echo "[$TOKEN]"' }
  with:
    env: { T: "\${{ secrets.TOKEN }}" }
    run: |
      echo "raw $T"; printf %s "$T" | base64
      echo "o=$T" >> "$STATIONMASTER_OUTPUT"
  leak: { env: { T: "\${{ secrets.TOKEN }}" }, run: 'echo "$T" > leak.txt', produces: { l: leak.txt } }
`);
    assert.equal(await w.log(r.run, 'without'), '[]\n');
    assert.equal(await w.log(r.run, 'with'), 'raw ***\n***\n');
    assert.deepEqual(r.steps['with']!.outputs, { o: '***' });
    assert.equal(r.steps['leak']!.failure!.reason, 'secret-in-artifact');
    const stored = await w.cli('show', r.run, '--json');
    assert.ok(!stored.stdout.includes('5ecret'));
  });

  it('says when a secret has no value', async () => {
    const r = await w.run('secrets: [NOPE_X]\nsteps: { a: { env: { T: "${{ secrets.NOPE_X }}" }, run: "true" } }');
    assert.equal(r.steps['a']!.failure!.reason, 'missing-secret');
    assert.match(r.steps['a']!.failure!.message, /set the environment variable NOPE_X/);
  });

  it('times a step out, with all it started', async () => {
    const r = await w.run('steps: { a: { run: "sleep 47 & sleep 47", timeout: 300ms } }');
    assert.equal(r.steps['a']!.failure!.reason, 'timeout');
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('limits the run in time', async () => {
    const r = await w.run(
      'limits: { time: 400ms }\nsteps: { a: { run: sleep 30 }, b: { run: "true", depends_on: a } }',
    );
    assert.equal(r.code, 1);
    assert.match(r.message!, /limits\.time/);
    assert.equal(r.steps['a']!.status, 'cancelled');
  });

  it('expands for_each from an output', async () => {
    const r = await w.run(`
steps:
  list: { run: 'echo ''l=["x","y","z"]'' >> "$STATIONMASTER_OUTPUT"' }
  each:
    depends_on: list
    for_each: \${{ steps.list.outputs.l }}
    env: { I: "\${{ item }}" }
    run: echo "v=$I$I" >> "$STATIONMASTER_OUTPUT"
  after:
    depends_on: each
    env: { ALL: "\${{ steps.each.outputs.items.map(i, i.v) }}" }
    run: echo "$ALL"
`);
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.equal(await w.log(r.run, 'after'), '["xx","yy","zz"]\n');
  });

  it('runs a sub-workflow with inputs of its own', async () => {
    w.write(
      'child.workflow.yaml',
      'inputs: { who: { required: true } }\nsteps: { greet: { env: { W: "${{ inputs.who }}" }, run: \'echo "hi=$W" >> "$STATIONMASTER_OUTPUT"\' } }',
    );
    const r = await w.run(
      'steps: { c: { workflow: child.workflow.yaml, with: { who: ann } }, z: { depends_on: c, env: { X: "${{ steps.c.outputs.greet.hi }}" }, run: "echo $X" } }',
    );
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.equal(r.steps['c/greet']!.status, 'completed');
    assert.equal(await w.log(r.run, 'z'), 'ann\n');
  });

  it('grafts a workflow that a step defined, and fails clearly when it is invalid', async () => {
    const text = (body: string) => `
steps:
  write:
    run: |
      printf 'w<<END\\n${body}\\nEND\\n' >> "$STATIONMASTER_OUTPUT"
  graft: { depends_on: write, define: "\${{ steps.write.outputs.w }}" }
  after: { depends_on: graft, run: echo after }
`;
    const good = await w.run(text('steps:\\n  inner: { run: echo inner }'));
    assert.equal(good.code, 0, JSON.stringify(good));
    assert.equal(await w.log(good.run, 'graft/inner'), 'inner\n');
    const bad = await w.run(text('steps:\\n  inner: { runn: echo inner }'));
    assert.equal(bad.steps['graft']!.failure!.reason, 'bad-definition');
    assert.match(bad.steps['graft']!.failure!.message, /did you mean "run"/);
    assert.deepEqual(bad.steps['after']!.skipped, { because: 'blocked', blocked_by: ['graft'] });
  });

  it('asks, exits with 3, takes the answer and goes on', async () => {
    const r = await w.run(`
steps:
  q: { ask: { question: Ship it?, options: [ship, rework], fields: { note: {} } } }
  ship: { depends_on: q, when: steps.q.outputs.answer == "ship", env: { N: "\${{ steps.q.outputs.note }}" }, run: 'echo "note $N"' }
  rework: { depends_on: q, when: steps.q.outputs.answer == "rework", run: echo rework }
`);
    assert.equal(r.code, 3);
    assert.equal(r.type, 'run.waiting');
    assert.deepEqual(r.questions, [{ step: 'q', text: 'Ship it?', options: ['ship', 'rework'] }]);
    assert.equal((await w.cli('answer', r.run, 'sheep')).code, 1);
    assert.equal((await w.cli('answer', r.run, 'ship', '--field', 'note=now')).code, 0);
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0);
    assert.equal(await w.log(r.run, 'ship'), 'note now\n');
    assert.equal(done.steps['rework']!.status, 'skipped');
  });

  it('puts a prompt to a person', async () => {
    w.write('p.prompt', '---\nschema: { topic: string }\n---\nWhat about {{topic}}?');
    const r = await w.run(
      'steps: { p: { prompt: p.prompt, assigned_to: human, with: { topic: "<tags> & more" } }, z: { depends_on: p, env: { A: "${{ steps.p.outputs.text }}" }, run: "echo $A" } }',
    );
    assert.equal(r.questions[0]!.text, 'What about <tags> & more?');
    await w.cli('answer', r.run, '--text', 'fine');
    const done = await w.json('resume', r.run);
    assert.equal(done.code, 0, JSON.stringify(done));
    assert.equal(await w.log(r.run, 'z'), 'fine\n');
  });

  it('stops for review until somebody continues', async () => {
    const r = await w.run('steps: { a: { run: echo x, review: true }, b: { depends_on: a, run: echo y } }');
    assert.equal(r.code, 3);
    assert.equal(r.steps['a']!.status, 'awaiting_review');
    assert.equal((await w.cli('continue', r.run, 'a')).code, 0);
    assert.equal((await w.json('resume', r.run)).code, 0);
  });

  it('goes step by step', async () => {
    const r = await w.run('steps: { a: { run: echo x }, b: { depends_on: a, run: echo y } }', '--step-by-step');
    assert.equal(r.code, 3);
    await w.cli('continue', r.run, 'a');
    const half = await w.json('resume', r.run);
    assert.equal(half.code, 3);
    assert.equal(half.steps['a']!.status, 'completed');
    await w.cli('continue', r.run, 'b');
    assert.equal((await w.json('resume', r.run)).code, 0);
  });

  it('launches a service, waits until it is ready, and leaves nothing behind', async () => {
    w.write(
      'server.mjs',
      "import { createServer } from 'node:http'; createServer((q, s) => s.end('ok ' + q.url)).listen(Number(process.env.PORT), () => console.log('listening'));",
    );
    const r = await w.run(`
steps:
  serve: { launch: "exec node server.mjs", port: auto, ready: { url: "http://127.0.0.1:\${{ port }}/health" } }
  smoke:
    depends_on: serve
    env: { URL: "\${{ steps.serve.outputs.url }}", PORT: "\${{ steps.serve.outputs.port }}" }
    run: node -e 'fetch(process.env.URL).then(r=>r.text()).then(console.log)'
`);
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.equal(await w.log(r.run, 'smoke'), 'ok /health\n');
    assert.deepEqual(w.leftovers(r.run), []);
    await assert.rejects(fetch(`http://127.0.0.1:${r.steps['serve']!.outputs['port']}/`));
  });

  it('is ready by port and by log, and says when a service ends before it is ready', async () => {
    w.write(
      'server.mjs',
      "import { createServer } from 'node:net'; setTimeout(() => createServer().listen(Number(process.env.PORT), () => console.log('up and running')), 200);",
    );
    const r = await w.run(`
steps:
  port: { launch: "exec node server.mjs", port: auto }
  log: { launch: "exec node server.mjs", port: auto, ready: { log: "^up and" } }
  dies: { launch: "echo dying; exit 4", ready: { port: 1, timeout: 5s } }
`);
    assert.equal(r.steps['port']!.status, 'completed');
    assert.equal(r.steps['log']!.status, 'completed');
    assert.match(r.steps['dies']!.failure!.message, /exit code 4 before it was ready/);
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('sees a service that dies after it was ready', async () => {
    const r = await w.run(`
steps:
  serve: { launch: "echo ready; sleep 0.4; exit 9", ready: { log: ready } }
  work: { depends_on: serve, run: sleep 1 }
`);
    assert.equal(r.code, 1);
    assert.equal(r.steps['serve']!.failure!.reason, 'service-crashed');
  });

  it('launches a service again that dies, as often as its retry allows, and sees a crash loop', async () => {
    const r = await w.run(`
steps:
  heals: { launch: "echo x >> starts; echo ready; test $(wc -l < starts) -ge 2 && exec sleep 30; sleep 0.2; exit 9", ready: { log: ready }, retry: { max_attempts: 3 } }
  dies: { launch: "echo ready; sleep 0.1; exit 7", ready: { log: ready }, retry: { max_attempts: 3 } }
  work: { depends_on: [heals, dies], run: sleep 1.5 }
`);
    assert.equal(r.code, 1);
    assert.equal(r.steps['dies']!.failure!.reason, 'crash-loop');
    assert.match(r.steps['dies']!.failure!.message, /launched 3 times.*exit code 7/);
    assert.equal(r.steps['heals']!.status, 'completed');
    assert.equal(r.steps['heals']!.attempts, 2);
    assert.deepEqual(w.leftovers(r.run), []);
  });

  it('commits what the run produced, and nothing of the person', async () => {
    w.git('init', '-q');
    w.write('a.txt', 'one\n');
    w.write('mine.txt', 'before\n');
    w.write('test.workflow.yaml', '');
    w.git('add', '.');
    w.git('commit', '-qm', 'first');
    w.write('mine.txt', 'my own edit\n');
    const text = `
steps:
  work: { run: "echo two >> a.txt; echo new > made.txt" }
  commit: { depends_on: work, use: commit, with: { message: "feat: work" } }
`;
    w.write('test.workflow.yaml', text);
    w.env['GIT_AUTHOR_NAME'] = w.env['GIT_COMMITTER_NAME'] = 't';
    w.env['GIT_AUTHOR_EMAIL'] = w.env['GIT_COMMITTER_EMAIL'] = 't@example.com';
    const r = await w.run(text);
    assert.equal(r.code, 0, JSON.stringify(r));
    assert.deepEqual(w.git('show', '--name-only', '--format=%s', 'HEAD').trim().split('\n').filter(Boolean), [
      'feat: work',
      'a.txt',
      'made.txt',
    ]);
    assert.match(w.git('status', '--porcelain'), / M mine\.txt/);
  });

  it('validates files and values', async () => {
    w.write('v.json', '{"n": "x"}');
    const r = await w.run(`
steps:
  good: { use: validate, with: { files: [v.json], contains: { v.json: '"n"' } } }
  bad: { use: validate, with: { json: v.json, schema: { type: object, properties: { n: { type: integer } } } } }
`);
    assert.equal(r.steps['good']!.status, 'completed');
    assert.match(r.steps['bad']!.failure!.message, /n: .*integer/);
  });

  it('uses a station of the workspace, checked like the built-in ones', async () => {
    w.write(
      '.stationmaster/stations/greet.mjs',
      `export default { name: 'greet', description: 'Greets.', inputs: { who: { type: 'string' } }, required: ['who'], outputs: { said: { type: 'string' } },
  async execute(context) { return { kind: 'completed', outputs: { said: 'hello ' + context.with.who } }; } };`,
    );
    const r = await w.run('steps: { g: { use: greet, with: { who: "${{ run.id }}" } } }');
    assert.equal(r.code, 0, r.stderr);
    assert.deepEqual(r.steps['g']!.outputs, { said: `hello ${r.run}` });
    w.write('bad.workflow.yaml', 'steps: { g: { use: greet, with: { whom: x } } }');
    const bad = await w.cli('run', 'bad.workflow.yaml');
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /has no input "whom"; did you mean "who"/);
  });

  it('works in a folder with blanks and other letters, and with Windows line ends', async () => {
    const odd = new Workspace({}, 'Größe & ünï \'q\' "d" 日本');
    try {
      const r = await odd.run(
        'steps:\r\n  a:\r\n    run: |\r\n      echo one > "a file.txt"\r\n      cat "a file.txt"\r\n    produces: { f: "a file.txt" }\r\n',
      );
      assert.equal(r.code, 0, JSON.stringify(r));
      assert.ok(existsSync(join(odd.path, 'a file.txt')));
    } finally {
      odd.remove();
    }
  });

  it('never runs more at once than the limit, however short the steps are', async () => {
    const steps = Array.from(
      { length: 80 },
      (_, i) => `  s${i}: { run: "echo + >> order; sleep 0.00${i % 9}; echo - >> order" }`,
    );
    const r = await w.run(`limits: { parallel: 3 }\nsteps:\n${steps.join('\n')}`);
    assert.equal(r.code, 0, JSON.stringify(r));
    let now = 0;
    let most = 0;
    for (const mark of w.read('order').trim().split('\n')) {
      now += mark === '+' ? 1 : -1;
      most = Math.max(most, now);
    }
    assert.equal(now, 0);
    assert.ok(most <= 3, `${most} ran at once`);
  });

  it('keeps a hundred megabytes of output out of its memory', async () => {
    const r = await w.run('steps: { a: { run: "head -c 100000000 /dev/zero | tr \'\\\\0\' x" } }');
    assert.equal(r.code, 0, JSON.stringify(r));
  });
});
