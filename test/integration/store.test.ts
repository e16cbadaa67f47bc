import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEASE_TIME, LeaseLost, Store } from '../../src/engine/node/store.ts';
import { Workspace } from '../rig/workspace.ts';

function open(folder: string): Store {
  const store = Store.open(folder);
  if (!store.ok) throw new Error(store.failure.message);
  return store.value;
}

describe('the store', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sm-store-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const summary = { status: 'running' as const, questions: 0 };
  const event = { type: 'run.started' as const, at: 1 };

  it('gives a lease to one owner, and takes it from one that is gone', () => {
    const store = open(folder);
    store.createRun({ id: 'r', name: 'n', file: 'f', plan: 'p', at: 1 });
    const alive = new Set(['a', 'b']);
    const isAlive = (owner: string) => alive.has(owner);
    assert.ok(store.takeLease('r', 'a', 1_000, isAlive));
    assert.ok(!store.takeLease('r', 'b', 1_001, isAlive));
    assert.equal(store.leaseHolder('r', 1_001, isAlive), 'a');
    // Nobody loses a lease because a clock jumped or a machine slept for a while.
    assert.ok(!store.takeLease('r', 'b', 1_000 + LEASE_TIME + 5_000, isAlive));
    alive.delete('a');
    assert.equal(store.leaseHolder('r', 1_001, isAlive), undefined);
    assert.ok(store.takeLease('r', 'b', 1_002, isAlive));
    assert.ok(!store.renewLease('r', 'a', 1_003));
    store.close();
  });

  it('takes nothing from an owner that lost its lease', () => {
    const store = open(folder);
    store.createRun({ id: 'r', name: 'n', file: 'f', plan: 'p', at: 1 });
    store.takeLease('r', 'a', 1, () => true);
    store.append('r', 1, [event], summary, 'a');
    store.takeLease('r', 'b', 1, () => false);
    assert.throws(() => store.append('r', 2, [event], summary, 'a'), LeaseLost);
    assert.equal(store.events('r').length, 1);
    store.close();
  });

  it('keeps a batch whole or not at all', () => {
    const store = open(folder);
    store.createRun({ id: 'r', name: 'n', file: 'f', plan: 'p', at: 1 });
    store.append('r', 1, [event, event], summary);
    assert.throws(() => store.append('r', 2, [event, event], summary));
    assert.equal(store.events('r').length, 2);
    store.close();
  });

  it('is seen by another process as soon as it is written', () => {
    const one = open(folder);
    const two = open(folder);
    one.createRun({ id: 'r', name: 'n', file: 'f', plan: 'p', at: 1 });
    const version = two.dataVersion();
    one.wish('r', { type: 'pause' }, 1);
    assert.notEqual(two.dataVersion(), version);
    assert.deepEqual(two.takeWishes('r'), [{ type: 'pause' }]);
    assert.deepEqual(one.takeWishes('r'), []);
    one.close();
    two.close();
  });

  it('lists 10,000 runs a page at a time', () => {
    const store = open(folder);
    store.transaction(() => {
      for (let i = 0; i < 10_000; i++) store.createRun({ id: `r${i}`, name: 'n', file: 'f', plan: 'p', at: i });
    });
    const page = store.runs(50);
    assert.deepEqual([page.length, page[0]!.id, page[49]!.id], [50, 'r9999', 'r9950']);
    assert.equal(store.runs(50, page[49]!.createdAt)[0]!.id, 'r9949');
    store.close();
  });
});

describe('a full disk', () => {
  it('stops the run where its journal ends, says so, and the run goes on when there is room', async function () {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return this.skip();
    const w = new Workspace();
    const state = join(w.path, '.stationmaster');
    mkdirSync(state);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', state]).status !== 0) {
      w.remove();
      return this.skip();
    }
    try {
      w.write(
        't.workflow.yaml',
        'steps: { a: { run: echo a >> a.txt }, fill: { depends_on: a, run: "test -f filled || { touch filled; cat /dev/zero > .stationmaster/fill || true; }" }, b: { depends_on: fill, run: echo b >> b.txt }, c: { depends_on: b, run: echo c } }',
      );
      const first = await w.cli('run', 't.workflow.yaml', '--no-ask');
      assert.equal(first.code, 1, first.stdout);
      assert.match(first.stderr, /could not be written.*make room.*resume it/s);
      rmSync(join(state, 'fill'));
      const run = (await w.cli('runs')).stdout.split(' ')[0]!;
      const done = await w.json('resume', run);
      assert.equal(done.code, 0, JSON.stringify(done));
      assert.equal(w.read('a.txt'), 'a\n');
      assert.deepEqual(w.leftovers(run), []);
    } finally {
      spawnSync('umount', ['-l', state]);
      w.remove();
    }
  }).timeout(60_000);

  it('says that the store cannot be made, in a folder where nothing can', async () => {
    const w = new Workspace();
    writeFileSync(join(w.path, '.stationmaster'), 'a file where the folder should be');
    const result = await w.cli('runs');
    assert.equal(result.code, 1);
    assert.match(result.stderr, /cannot be opened.*Check that the folder can be written/);
    w.remove();
  });
});
