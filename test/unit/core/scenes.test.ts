import assert from 'node:assert/strict';
import { downstream, nextDue, resumable } from '../../../src/engine/core/decide.ts';
import { guardrailReached } from '../../../src/engine/core/guardrails.ts';
import { runStatus } from '../../../src/engine/core/state.ts';
import { DEFAULT_HEAL } from '../../../src/language/workflow/plan.ts';
import { planOf } from '../../rig/plans.ts';
import { Simulation } from '../../rig/simulation.ts';

function run(text: string, options: { stepByStep?: boolean; inputs?: Record<string, unknown> } = {}): Simulation {
  return new Simulation(planOf(text, options.inputs), options);
}

function shows(simulation: Simulation, expected: string): void {
  assert.equal(simulation.render(), expected.trim().replace(/^ +/gm, ''));
}

describe('the core', () => {
  it('fans out and in', () => {
    const r = run(
      'steps: { a: { run: x }, b: { run: x, depends_on: a }, c: { run: x, depends_on: a }, d: { run: x, depends_on: [b, c] } }',
    );
    r.complete('a');
    shows(r, 'a: completed\nb: running\nc: running\nd: pending');
    r.complete('b');
    r.complete('c');
    shows(r, 'a: completed\nb: completed\nc: completed\nd: running');
    r.complete('d');
    assert.match(r.render(), /^completed\n/);
  });

  it('blocks what depends on a failure, and says which', () => {
    const r = run(
      'steps: { a: { run: x }, b: { run: x, depends_on: a }, c: { run: x, depends_on: b }, free: { run: x } }',
    );
    r.fail('a');
    r.complete('free');
    shows(r, 'failed\na: failed\nb: skipped by a\nc: skipped by a\nfree: completed');
  });

  it('goes on after a failure that is allowed', () => {
    const r = run('steps: { a: { run: x, allow_failure: true }, b: { run: x, depends_on: a } }');
    r.fail('a');
    r.complete('b');
    shows(r, 'completed\na: failed\nb: completed');
  });

  it('decides by always(), failure(), success() and values', () => {
    const r = run(`
steps:
  a: { run: x }
  clean: { run: x, depends_on: a, when: always() }
  blame: { run: x, depends_on: a, when: failure() }
  praise: { run: x, depends_on: a, when: success() }
  value: { run: x, depends_on: clean, when: steps.clean.outputs.n == "1" }
limits: { parallel: 10 }`);
    r.fail('a');
    shows(r, 'a: failed\nclean: running\nblame: running\npraise: skipped\nvalue: pending');
    r.complete('clean', { n: '1' });
    r.complete('blame');
    assert.equal(r.state.steps.get('value')!.status, 'running');
  });

  it('fails a step whose condition cannot be evaluated, and nothing else', () => {
    const r = run(
      'steps: { a: { run: x }, b: { run: x, depends_on: a, when: steps.a.outputs.nope == "x" }, c: { run: x, depends_on: a } }',
    );
    r.complete('a');
    assert.equal(r.state.steps.get('b')!.failure!.reason, 'bad-condition');
    assert.equal(r.state.steps.get('c')!.status, 'running');
  });

  it('retries with growing delays, and only for the exit codes named', () => {
    const r = run('steps: { a: { run: x, retry: { max_attempts: 3, delay: 1s, on_exit_codes: [7] } } }');
    r.fail('a', 7);
    assert.equal(r.state.steps.get('a')!.status, 'pending');
    assert.equal(nextDue(r.state), r.now + 1000);
    r.pass(999);
    assert.equal(r.state.steps.get('a')!.status, 'pending');
    r.pass(1);
    assert.equal(r.state.steps.get('a')!.status, 'running');
    r.fail('a', 7);
    r.pass(1999);
    assert.equal(r.state.steps.get('a')!.status, 'pending');
    r.pass(1);
    r.fail('a', 3);
    shows(r, 'failed\na: failed');
    assert.equal(r.state.steps.get('a')!.attempts.length, 3);
  });

  it('keeps to limits.parallel, priority and locks', () => {
    const r = run(`
limits: { parallel: 2 }
steps:
  a: { run: x, locks: db }
  b: { run: x, locks: db }
  c: { run: x, priority: 5 }
  d: { run: x }`);
    shows(r, 'a: running\nb: pending\nc: running\nd: pending');
    r.complete('c');
    shows(r, 'a: running\nb: pending\nc: completed\nd: running');
    r.complete('a');
    shows(r, 'a: completed\nb: running\nc: completed\nd: running');
  });

  it('expands for_each over a list known at run time, and collects outputs in order', () => {
    const r = run(
      'steps: { a: { run: x }, e: { depends_on: a, for_each: "${{ steps.a.outputs.l }}", run: x }, z: { run: x, depends_on: e } }',
    );
    r.complete('a', { l: ['p', 'q'] });
    r.say({ type: 'step.expanded', step: 'e', items: ['p', 'q'] });
    r.complete('e[1]', { n: 2 });
    r.complete('e[0]', { n: 1 });
    assert.deepEqual(r.state.steps.get('e')!.outputs, { items: [{ n: 1 }, { n: 2 }] });
    assert.equal(r.state.steps.get('z')!.status, 'running');
  });

  it('completes an empty for_each', () => {
    const r = run('steps: { e: { for_each: [], run: x }, z: { run: x, depends_on: e } }');
    r.say({ type: 'step.expanded', step: 'e', items: [] });
    assert.equal(r.state.steps.get('z')!.status, 'running');
  });

  it('grafts a workflow and fails it with its children', () => {
    const r = run('steps: { w: { define: "${{ run.id }}" }, z: { run: x, depends_on: w } }');
    r.say({ type: 'step.grafted', step: 'w', plan: planOf('steps: { a: { run: x }, b: { run: x, depends_on: a } }') });
    shows(r, 'w: running\nz: pending\nw/a: running\nw/b: pending');
    r.fail('w/a');
    shows(r, 'failed\nw: failed\nz: skipped by w\nw/a: failed\nw/b: skipped by w/a');
  });

  it('waits for an answer, and takes the one on time-out', () => {
    const r = run(
      'steps: { q: { ask: { question: x, options: [y, n] } }, z: { run: x, depends_on: q, when: steps.q.outputs.answer == "n" } }',
    );
    r.say({
      type: 'step.waiting',
      step: 'q',
      on: 'human',
      question: { kind: 'ask', text: 'x', options: ['y', 'n'], deadline: r.now + 500, onTimeout: 'n' },
    });
    assert.equal(runStatus(r.state), 'waiting');
    r.pass(499);
    assert.equal(r.state.steps.get('q')!.status, 'waiting');
    r.pass(1);
    shows(r, 'q: completed\nz: running');
  });

  it('stops for review until somebody continues', () => {
    const r = run('steps: { a: { run: x, review: true }, b: { run: x, depends_on: a } }');
    r.say({ type: 'step.reviewing', step: 'a', outputs: {} });
    shows(r, 'a: awaiting_review\nb: pending');
    assert.equal(runStatus(r.state), 'waiting');
    r.say({ type: 'step.continued', step: 'a' });
    shows(r, 'a: completed\nb: running');
  });

  it('goes step by step', () => {
    const r = run('steps: { a: { run: x }, b: { run: x, depends_on: a } }', { stepByStep: true });
    shows(r, 'a: pending\nb: pending');
    assert.equal(runStatus(r.state), 'waiting');
    r.say({ type: 'step.released', step: 'a' });
    r.complete('a');
    shows(r, 'a: completed\nb: pending');
    r.say({ type: 'step.released', step: 'b' });
    shows(r, 'a: completed\nb: running');
  });

  it('pauses: what runs goes on, nothing starts', () => {
    const r = run('steps: { a: { run: x }, b: { run: x, depends_on: a } }');
    r.say({ type: 'run.paused' });
    r.complete('a');
    shows(r, 'a: completed\nb: pending');
    r.say({ type: 'run.unpaused' });
    shows(r, 'a: completed\nb: running');
  });

  it('cancels everything, and still cleans up', () => {
    const r = run(
      'steps: { a: { run: x }, b: { run: x, depends_on: a }, clean: { run: x, depends_on: b, when: always() } }',
    );
    r.say({ type: 'run.cancelling', reason: 'person', force: false });
    r.say({ type: 'step.cancelled', step: 'a' });
    shows(r, 'a: cancelled\nb: cancelled\nclean: running');
    r.complete('clean');
    shows(r, 'cancelled\na: cancelled\nb: cancelled\nclean: completed');
  });

  it('cancels at once when forced', () => {
    const r = run('steps: { a: { run: x }, clean: { run: x, depends_on: a, when: always() } }');
    r.say({ type: 'run.cancelling', reason: 'person', force: true });
    r.say({ type: 'step.cancelled', step: 'a' });
    shows(r, 'cancelled\na: cancelled\nclean: cancelled');
  });

  it('ends at the time limit, as a failure', () => {
    const r = run('limits: { time: 10s }\nsteps: { a: { run: x }, b: { run: x, depends_on: a } }');
    r.pass(10_000);
    r.say({ type: 'step.cancelled', step: 'a' });
    shows(r, 'failed\na: cancelled\nb: cancelled');
    assert.match(r.state.finished!.message!, /limits\.time/);
  });

  it('resumes from what failed, and repeats nothing that completed', () => {
    const r = run(
      'steps: { a: { run: x }, b: { run: x, depends_on: a }, c: { run: x, depends_on: b }, side: { run: x } }',
    );
    r.complete('a');
    r.complete('side');
    r.fail('b');
    const again = resumable(r.state).map((step) => step.path);
    assert.deepEqual(again, ['b', 'c']);
    r.say({ type: 'run.resumed' }, ...again.map((step) => ({ type: 'step.reset' as const, step })));
    shows(r, 'a: completed\nb: running\nc: pending\nside: completed');
    r.complete('b');
    r.complete('c');
    assert.match(r.render(), /^completed/);
    assert.equal(r.state.steps.get('a')!.attempts.length, 1);
  });

  it('makes stale what depends on a retried step', () => {
    const r = run('steps: { a: { run: x }, b: { run: x, depends_on: a }, c: { run: x, depends_on: [a, b] } }');
    for (const step of ['a', 'b', 'c']) r.complete(step);
    const again = downstream(r.state.steps.get('a')!).map((step) => step.path);
    r.say({ type: 'run.resumed' }, ...again.map((step) => ({ type: 'step.reset' as const, step })));
    shows(r, 'a: running\nb: stale\nc: stale');
    for (const step of ['a', 'b', 'c']) r.complete(step);
    shows(r, 'completed\na: completed\nb: completed\nc: completed');
  });

  it('is not moved by a clock that jumps back', () => {
    const r = run('limits: { time: 10s }\nsteps: { a: { run: x, heal: true, retry: { max_attempts: 2, delay: 1s } } }');
    r.now -= 3_600_000;
    r.fail('a', 1);
    r.pass(1_000);
    assert.equal(r.state.steps.get('a')!.status, 'running');
    r.complete('a');
    assert.equal(r.state.finished!.status, 'completed');
  });

  it('cancels a chain of 20,000 steps without exhausting the stack', () => {
    const lines = Array.from(
      { length: 20_000 },
      (_, i) => `  s${i}: { run: x${i > 0 ? `, depends_on: s${i - 1}` : ''} }`,
    );
    const r = run(`steps:\n${lines.join('\n')}`);
    r.say({ type: 'run.cancelling', reason: 'person', force: false });
    r.say({ type: 'step.cancelled', step: 's0' });
    assert.equal(r.state.finished!.status, 'cancelled');
  }).timeout(20_000);
});

describe('healing in the core', () => {
  const text = 'steps: { a: { run: x, heal: true }, b: { run: x, depends_on: a } }';
  const finding = { type: 'BuildError' as const, message: 'm' };
  const begin = (message: string) => ({
    type: 'heal.begun' as const,
    step: 'a',
    errorType: 'BuildError' as const,
    message,
  });
  const acted = {
    type: 'heal.acted' as const,
    step: 'a',
    action: {
      errorType: 'BuildError' as const,
      specialist: 'Implementer',
      finding,
      description: 'd',
      changed: [],
      outcome: 'applied' as const,
    },
  };

  it('counts rounds, attempts by type, and rounds without progress', () => {
    const r = run(text);
    r.say(begin('m'), acted, begin('m'), acted);
    const session = r.state.steps.get('a')!.healing!;
    assert.deepEqual(
      [session.iterations, session.attemptsByType, session.consecutiveFailures],
      [2, { BuildError: 2 }, 2],
    );
    r.say(begin('another'));
    assert.equal(session.consecutiveFailures, 1);
  });

  it('asks each guardrail', () => {
    const r = run(text);
    const reached = (policy = {}) =>
      guardrailReached(r.state.steps.get('a')!.healing, { ...DEFAULT_HEAL, ...policy }, 'BuildError', r.now)?.guardrail;
    assert.equal(reached(), undefined);
    r.say(begin('m'), begin('m'));
    assert.equal(reached(), undefined);
    r.say(begin('m'));
    assert.equal(reached(), 'consecutive-failures');
    assert.equal(reached({ maxAttemptsPerError: 3 }), 'attempts-per-error');
    assert.equal(reached({ maxTotalIterations: 3 }), 'total-iterations');
    r.pass(300_000);
    assert.equal(reached(), 'healing-time');
  });

  it('does not count the time in which a person thinks', () => {
    const r = run(text);
    r.say(begin('m'), acted);
    r.say({
      type: 'step.waiting',
      step: 'a',
      on: 'human',
      question: { kind: 'escalation', text: 't', options: ['retry', 'skip', 'help'] },
    });
    r.pass(3_600_000);
    r.say({ type: 'step.answered', step: 'a', answer: { option: 'help', text: 'try x', by: 'person' } });
    const session = r.state.steps.get('a')!.healing!;
    assert.equal(r.state.steps.get('a')!.status, 'running');
    assert.deepEqual(session.help, ['try x']);
    assert.equal(guardrailReached(session, DEFAULT_HEAL, 'BuildError', r.now), undefined);
  });

  it('goes on past a step that a person skipped', () => {
    const r = run(text);
    r.say({
      type: 'step.waiting',
      step: 'a',
      on: 'human',
      question: { kind: 'escalation', text: 't', options: ['retry', 'skip', 'help'] },
    });
    r.say({ type: 'step.answered', step: 'a', answer: { option: 'skip', by: 'person' } });
    shows(r, 'a: skipped\nb: running');
  });
});
