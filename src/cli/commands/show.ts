import { durationOf } from '../../engine/core/scope.ts';
import { runStatus, type StepState } from '../../engine/core/state.ts';
import { formatDuration } from '../../language/values.ts';
import { type Command, flag } from '../command.ts';
import { withRun } from '../open.ts';
import { runSummary } from '../summary.ts';
import { out, plain, styleFor, table } from '../terminal.ts';

export const showCommand: Command = {
  summary: 'Show a run: its steps, artifacts, questions and healing sessions.',
  usage: '<run> [--json]',
  details: 'Reads the journal, so it also shows a run that another process drives.',
  options: { json: { type: 'boolean' } },
  optionHelp: { json: 'The object that `run --json` ends with.' },
  positionals: [1, 1],
  run: ({ positionals, values, workspace }) =>
    withRun(workspace, positionals[0]!, async (engine, run) => {
      const { state } = engine.load(run);
      if (flag(values, 'json')) {
        out(JSON.stringify(runSummary(run.id, state, run.finishedAt ?? run.createdAt)));
        return 0;
      }
      const style = styleFor(process.stdout);
      const status = runStatus(state);
      const driven = engine.isDriven(run.id)
        ? ''
        : state.finished || status === 'waiting'
          ? ''
          : ' (nobody drives it: `stationmaster resume` goes on)';
      out(`${style.bold(plain(run.name))}  ${run.id}  ${status}${driven}`);
      out(style.dim(`${run.file}, plan ${run.plan.slice(0, 12)}`));
      const steps = [...state.steps.values()];
      for (const line of table(steps.map((step) => [step.path, step.status, time(step), detail(step)]))) out(line);
      for (const step of steps) {
        for (const artifact of step.artifacts)
          out(
            `artifact ${step.path}/${artifact.name}@${artifact.version}  ${artifact.bytes} bytes  ${artifact.sha256.slice(0, 12)}`,
          );
        if (step.healing) for (const line of session(step)) out(line);
        if (step.question && step.status === 'waiting')
          out(`question ${step.path}: ${plain(step.question.text)} [${step.question.options.join(', ')}]`);
      }
      return 0;
    }),
};

function time(step: StepState): string {
  return step.attempts.length === 0 ? '' : formatDuration(durationOf(step) * 1000);
}

function detail(step: StepState): string {
  if (step.failure) return `${step.failure.type ?? step.failure.reason}: ${plain(step.failure.message)}`;
  if (step.skip)
    return step.skip.blockedBy.length > 0 ? `blocked by ${step.skip.blockedBy.join(', ')}` : step.skip.because;
  const attempts = step.attempts.length > 1 ? `${step.attempts.length} attempts` : '';
  const outputs = Object.entries(step.outputs).map(([name, value]) => `${name}=${JSON.stringify(value)}`.slice(0, 60));
  return plain([attempts, ...outputs].filter((part) => part !== '').join('  '));
}

function session(step: StepState): string[] {
  const healing = step.healing!;
  const policy = step.step.heal;
  const left = policy ? `, ${Math.max(0, policy.maxTotalIterations - healing.iterations)} rounds left` : '';
  return [
    `healing ${step.path}: ${healing.iterations} rounds${left}, ${healing.consecutiveFailures} in a row without progress`,
    ...healing.actions.map(
      (action) =>
        `  ${action.outcome.padEnd(9)} ${action.errorType} → ${action.specialist}${action.playbook ? ` (${action.playbook})` : ''}: ${plain(action.description)}`,
    ),
  ];
}
