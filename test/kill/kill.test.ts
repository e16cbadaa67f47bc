import assert from 'node:assert/strict';
import { killRun, random } from './kill-run.ts';

describe('kill -9 at random points', function () {
  this.timeout(300_000);
  let kills = 0;

  for (let seed = 1; seed <= 7; seed++) {
    it(`the host, seed ${seed}`, async () => {
      const result = await killRun(4, random(seed), false);
      kills += result.kills;
      assert.deepEqual(result.problems, []);
    });
  }
  for (let seed = 101; seed <= 103; seed++) {
    it(`the host and its runner, seed ${seed}`, async () => {
      const result = await killRun(3, random(seed), true);
      kills += result.kills;
      assert.deepEqual(result.problems, []);
    });
  }
  it('at least twenty kills hit a run', () => {
    assert.ok(kills >= 20, `only ${kills} did`);
  });
});
