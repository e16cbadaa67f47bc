import assert from 'node:assert/strict';
import fc from 'fast-check';
import { resumable } from '../../../src/engine/core/decide.ts';
import type { RunEvent } from '../../../src/engine/core/events.ts';
import { fold } from '../../../src/engine/core/evolve.ts';
import { isEnded, isGroup } from '../../../src/engine/core/state.ts';
import { planOf } from '../../rig/plans.ts';
import { Simulation, snapshot } from '../../rig/simulation.ts';

/** A workflow: each step depends on some before it, with any mix of what changes scheduling. */
const workflow = fc
  .array(
    fc.record({
      deps: fc.array(fc.nat(), { maxLength: 3 }),
      kind: fc.constantFrom('run', 'run', 'run', 'ask', 'each', 'define'),
      when: fc.constantFrom(undefined, undefined, 'always()', 'failure()', 'success()'),
      allow: fc.boolean(),
      lock: fc.constantFrom(undefined, undefined, 'x', 'y'),
      priority: fc.integer({ min: -2, max: 2 }),
      retry: fc.boolean(),
      review: fc.boolean(),
    }),
    { minLength: 1, maxLength: 10 },
  )
  .map((steps) => {
    const lines = steps.map((step, index) => {
      const deps = index === 0 ? [] : [...new Set(step.deps.map((dep) => `s${dep % index}`))];
      const action = {
        run: 'run: x',
        ask: 'ask: { question: q }',
        each: 'run: x, for_each: [1, 2]',
        define: 'define: "${{ run.id }}"',
      }[step.kind]!;
      const parts = [action, `depends_on: [${deps.join(', ')}]`, `priority: ${step.priority}`];
      if (step.when) parts.push(`when: ${step.when}`);
      if (step.allow) parts.push('allow_failure: true');
      if (step.lock) parts.push(`locks: ${step.lock}`);
      if (step.retry) parts.push('retry: { max_attempts: 2, delay: 10ms }');
      if (step.review && step.kind === 'run') parts.push('review: true');
      return `  s${index}: { ${parts.join(', ')} }`;
    });
    return `limits: { parallel: 3 }\nsteps:\n${lines.join('\n')}`;
  });

const CHILD = planOf('steps: { a: { run: x }, b: { run: x, depends_on: a } }');

/** What the world does next: a number picks who, and how it ends. */
const moves = fc.array(fc.record({ who: fc.nat(), what: fc.nat({ max: 99 }) }), { maxLength: 120 });

function check(simulation: Simulation, started: Map<string, number>): void {
  const { state } = simulation;
  assert.ok(simulation.busy() <= 3 + simulation.ahead, 'more steps at once than limits.parallel allows');
  const locks = new Map<string, string>();
  for (const step of simulation.running()) {
    for (const lock of step.step.locks) {
      if (isGroup(step) || step.step.action === 'ask') continue;
      assert.equal(locks.get(lock), undefined, `${step.path} and ${locks.get(lock)} both hold ${lock}`);
      locks.set(lock, step.path);
    }
    for (const dependency of step.dependencies)
      assert.ok(isEnded(dependency), `${step.path} runs before ${dependency.path} ended`);
    started.set(step.path, step.attempts.length);
  }
  assert.equal(
    state.open,
    [...state.steps.values()].filter((step) => !isEnded(step)).length,
    'open steps are miscounted',
  );
  assert.equal(state.running, simulation.busy(), 'running steps are miscounted');
}

function move(simulation: Simulation, who: number, what: number): void {
  const { state } = simulation;
  if (state.finished) return;
  if (what < 3) return simulation.say({ type: 'run.cancelling', reason: 'person', force: what === 0 });
  if (what < 8) return simulation.say(state.paused ? { type: 'run.unpaused' } : { type: 'run.paused' });
  if (what < 20) return simulation.pass(what * 5);
  const movable = [...state.steps.values()].filter(
    (step) => ['running', 'waiting', 'awaiting_review'].includes(step.status) && !(isGroup(step) && step.children),
  );
  const step = movable[who % Math.max(1, movable.length)];
  if (!step) return simulation.pass(100);
  const { path } = step;
  if (step.status === 'waiting')
    return simulation.say({ type: 'step.answered', step: path, answer: { text: 'x', by: 'person' } });
  if (step.status === 'awaiting_review') return simulation.say({ type: 'step.continued', step: path });
  if (state.cancelling) return simulation.say({ type: 'step.cancelled', step: path });
  if (what < 25) return simulation.say({ type: 'step.interrupted', step: path });
  if (step.step.forEach !== undefined && !step.isInstance)
    return simulation.say({ type: 'step.expanded', step: path, items: [1, 2].slice(who % 3) });
  if (step.step.action === 'define')
    return simulation.say(
      what < 40
        ? { type: 'step.failed', step: path, failure: { reason: 'bad-definition', message: '' } }
        : { type: 'step.grafted', step: path, plan: CHILD },
    );
  if (step.step.action === 'ask')
    return simulation.say({
      type: 'step.waiting',
      step: path,
      on: 'human',
      question: { kind: 'ask', text: 'q', options: [] },
    });
  if (what < 50) return simulation.fail(path);
  simulation.say(step.step.review ? { type: 'step.reviewing', step: path } : { type: 'step.completed', step: path });
}

/** Whatever is left is done, so that the run can end. */
function drain(simulation: Simulation): void {
  if (simulation.state.paused) simulation.say({ type: 'run.unpaused' });
  for (let i = 0; i < 500 && !simulation.state.finished; i++) {
    const before = simulation.journal.length;
    move(simulation, 0, 99);
    if (simulation.journal.length === before) simulation.pass(1000);
  }
}

describe('any DAG, any order, any failure, cancel or pause', () => {
  it('loses no step, doubles none, never locks up, keeps its limits, and folds to the same state', () => {
    fc.assert(
      fc.property(workflow, moves, fc.constantFrom(0, 4), (text, steps, ahead) => {
        const simulation = new Simulation(planOf(text));
        simulation.ahead = ahead;
        const started = new Map<string, number>();
        check(simulation, started);
        for (const { who, what } of steps) {
          move(simulation, who, what);
          check(simulation, started);
        }
        drain(simulation);
        assert.ok(simulation.state.finished, `the run never ends:\n${text}\n${simulation.render()}`);
        for (const step of simulation.state.steps.values())
          assert.ok(isEnded(step), `${step.path} is left ${step.status}`);
        assert.equal(snapshot(fold(simulation.plan, simulation.journal)), snapshot(simulation.state));
        doublesNone(simulation.journal);
      }),
      { numRuns: 400 },
    );
  }).timeout(60_000);

  it('goes on from any prefix of its journal as if nothing had happened', () => {
    fc.assert(
      fc.property(workflow, moves, fc.nat(), (text, steps, cut) => {
        const before = new Simulation(planOf(text));
        for (const { who, what } of steps) move(before, who, what);
        const after = new Simulation(before.plan);
        after.journal.length = 0;
        const prefix = before.journal.slice(0, 2 + (cut % Math.max(1, before.journal.length - 1)));
        Object.assign(after.state, fold(before.plan, prefix));
        after.now = before.now + 1;
        after.journal.push(...prefix);
        // What was being executed when the host died has no host any more.
        if (!after.state.finished) {
          const lost = after.running().map((step): RunEvent => ({ type: 'step.interrupted', step: step.path }));
          after.say(...lost);
        }
        drain(after);
        assert.ok(after.state.finished, `the run never ends:\n${text}\n${after.render()}`);
        doublesNone(after.journal);
      }),
      { numRuns: 300 },
    );
  }).timeout(60_000);

  it('can be resumed after any end, and then ends again', () => {
    fc.assert(
      fc.property(workflow, moves, (text, steps) => {
        const simulation = new Simulation(planOf(text));
        for (const { who, what } of steps) move(simulation, who, what);
        drain(simulation);
        if (simulation.state.finished!.status === 'completed') return;
        const completed = [...simulation.state.steps.values()].filter(
          (step) => step.status === 'completed' && !step.parent,
        );
        const again = resumable(simulation.state);
        const kept = completed
          .filter((step) => !again.includes(step))
          .map((step) => [step.path, step.attempts.length] as const);
        simulation.say(
          { type: 'run.resumed' },
          ...again.map((step): RunEvent => ({ type: 'step.reset', step: step.path })),
        );
        check(simulation, new Map());
        drain(simulation);
        assert.ok(simulation.state.finished, simulation.render());
        for (const [path, attempts] of kept)
          assert.equal(simulation.state.steps.get(path)!.attempts.length, attempts, `${path} ran again`);
      }),
      { numRuns: 300 },
    );
  }).timeout(60_000);
});

/** Between two starts of a step lies a failure, an interruption or a reset. */
function doublesNone(journal: readonly RunEvent[]): void {
  const running = new Set<string>();
  const ended = new Set<string>();
  for (const event of journal) {
    if (!('step' in event)) continue;
    if (event.type === 'step.started') {
      assert.ok(!running.has(event.step), `${event.step} was started twice`);
      assert.ok(!ended.has(event.step), `${event.step} was started after it had ended`);
      running.add(event.step);
    } else if (event.type === 'step.reset') {
      ended.delete(event.step);
      running.delete(event.step);
    } else if (event.type === 'step.interrupted' || event.type === 'step.waiting') running.delete(event.step);
    else if (event.type === 'step.failed' && event.retryAt !== undefined) running.delete(event.step);
    else if (
      ['step.completed', 'step.failed', 'step.cancelled', 'step.skipped', 'step.continued'].includes(event.type)
    ) {
      running.delete(event.step);
      ended.add(event.step);
    }
  }
}
