import { decide, retryDelay } from '../../src/engine/core/decide.ts';
import type { RecordedEvent, RunEvent } from '../../src/engine/core/events.ts';
import { evolve, initialState } from '../../src/engine/core/evolve.ts';
import { isGroup, needsSlot, type RunState, type StepState } from '../../src/engine/core/state.ts';
import type { Plan } from '../../src/language/workflow/plan.ts';

/** A run without processes, disk or clock: the core alone, with a manual time and outcomes given from outside. */
export class Simulation {
  readonly plan: Plan;
  readonly state: RunState;
  readonly journal: RecordedEvent[] = [];
  now = 1_000;
  ahead = 0;

  constructor(plan: Plan, options: { stepByStep?: boolean } = {}) {
    this.plan = plan;
    this.state = initialState(plan);
    this.apply({ type: 'run.created', name: plan.name, options: { stepByStep: options.stepByStep ?? false } });
    this.apply({ type: 'run.started' });
    this.settle();
  }

  apply(...events: RunEvent[]): void {
    for (const event of events) {
      const recorded = { ...event, at: this.now };
      evolve(this.state, recorded);
      this.journal.push(recorded);
    }
  }

  /** Lets the core decide until it has nothing to say. */
  settle(): void {
    for (let count = 0; ; count++) {
      if (count > 100_000) throw new Error('the core never stops deciding');
      const event = decide(this.state, {
        now: this.now,
        parallel: 2,
        ahead: this.ahead,
        artifacts: { runId: 'r', text: () => '', path: () => '' },
      });
      if (!event) return;
      this.apply(event);
    }
  }

  say(...events: RunEvent[]): void {
    this.apply(...events);
    this.settle();
  }

  /** Steps that a host would be executing now. */
  running(): StepState[] {
    return [...this.state.steps.values()].filter(
      (step) => step.status === 'running' && !(isGroup(step) && step.children),
    );
  }

  complete(step: string, outputs: Record<string, unknown> = {}): void {
    this.say({ type: 'step.completed', step, outputs });
  }

  /** Fails a step as a host would: by its own retry policy it may run again. */
  fail(step: string, exitCode = 1): void {
    const failure = { reason: 'exit-code', message: `exit ${exitCode}`, exitCode };
    const state = this.state.steps.get(step)!;
    const delay = retryDelay(state.step.retry, state.tries, failure);
    this.say({ type: 'step.failed', step, failure, ...(delay === undefined ? {} : { retryAt: this.now + delay }) });
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
    this.settle();
  }

  /** `a: completed, b: running …` */
  render(): string {
    return renderState(this.state);
  }

  busy(): number {
    return this.running().filter(needsSlot).length;
  }
}

export function renderState(state: RunState): string {
  const steps = [...state.steps.values()].map((step) => {
    const note = step.skip?.blockedBy.length ? ` by ${step.skip.blockedBy.join('+')}` : '';
    return `${step.path}: ${step.status}${note}`;
  });
  return `${state.finished ? `${state.finished.status}\n` : ''}${steps.join('\n')}`;
}

/** Everything that a fold must bring back, as text. */
export function snapshot(state: RunState): string {
  const steps = [...state.steps.values()].map(
    ({
      path,
      status,
      attempts,
      execution,
      outputs,
      artifacts,
      failure,
      skip,
      question,
      answer,
      healing,
      waitingFor,
      openChildren,
      released,
      retryAt,
      tries,
    }) => ({
      path,
      status,
      attempts,
      execution,
      outputs,
      artifacts,
      failure,
      skip,
      question,
      answer,
      healing,
      waitingFor,
      openChildren,
      released,
      retryAt,
      tries,
    }),
  );
  const { paused, cancelling, running, open, waiting, questions, finished, startedAt, finishedAt } = state;
  return JSON.stringify({
    paused,
    cancelling,
    running,
    open,
    waiting,
    questions,
    finished,
    startedAt,
    finishedAt,
    locks: [...state.lockHolders.keys()].sort(),
    steps,
  });
}
