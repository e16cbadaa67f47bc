import { durationOf } from '../engine/core/scope.ts';
import type { RunState, StepState } from '../engine/core/state.ts';
import { runStatus } from '../engine/core/state.ts';

/** The object that `--json` ends with and that `show --json` prints; see formats.md. */
export function runSummary(run: string, state: RunState, at: number): Record<string, unknown> {
  const status = runStatus(state);
  const ended = state.finished !== undefined;
  return {
    type: ended ? 'run.finished' : status === 'waiting' ? 'run.waiting' : 'run.status',
    run,
    at,
    status,
    ...(state.finished?.message === undefined ? {} : { message: state.finished.message }),
    steps: Object.fromEntries([...state.steps.values()].map((step) => [step.path, stepSummary(step)])),
    questions: questionsOf(state).map((step) => ({
      step: step.path,
      text: step.question!.text,
      options: step.question!.options,
    })),
  };
}

export function questionsOf(state: RunState): StepState[] {
  if (state.questions === 0) return [];
  return [...state.steps.values()].filter(
    (step) => step.status === 'waiting' && step.question !== undefined && step.answer === undefined,
  );
}

function stepSummary(step: StepState): Record<string, unknown> {
  const { failure, skip, healing, artifacts } = step;
  return {
    status: step.status,
    attempts: step.attempts.length,
    duration: durationOf(step),
    outputs: step.outputs,
    ...(failure
      ? { failure: { type: failure.type ?? 'Unknown', reason: failure.reason, message: failure.message } }
      : {}),
    ...(skip
      ? { skipped: { because: skip.because, ...(skip.blockedBy.length > 0 ? { blocked_by: skip.blockedBy } : {}) } }
      : {}),
    ...(artifacts.length > 0
      ? { artifacts: artifacts.map(({ name, version, sha256, bytes }) => ({ name, version, sha256, bytes })) }
      : {}),
    ...(healing
      ? {
          healing: {
            iterations: healing.iterations,
            attempts_by_type: healing.attemptsByType,
            consecutive_failures: healing.consecutiveFailures,
            started_at: new Date(healing.startedAt).toISOString(),
            resolved: healing.resolved,
            actions: healing.actions.map(({ errorType, specialist, playbook, description, outcome, changed }) => ({
              error_type: errorType,
              specialist,
              ...(playbook ? { playbook } : {}),
              description,
              outcome,
              changed,
            })),
          },
        }
      : {}),
  };
}
