import { createHash } from 'node:crypto';
import { renderDiagnostics } from '../../language/text.ts';
import { formatDuration } from '../../language/values.ts';
import { canonicalPlan, type Plan, type PlanStep } from '../../language/workflow/plan.ts';
import { type Command, text, texts } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { readInputs } from '../inputs.ts';
import { complain, withEngine } from '../open.ts';
import { err, out } from '../terminal.ts';

export const planCommand: Command = {
  summary: 'Show what would run, without running it.',
  usage: '<file> [--input k=v …] [--format text|json|mermaid]',
  details: `
Checks the file and prints the plan: the steps in the order in which they can start, what each waits for, and ceilings.
The same text and inputs give the same plan and the same hash.`,
  options: {
    input: { type: 'string', multiple: true, short: 'i' },
    inputs: { type: 'string' },
    format: { type: 'string' },
  },
  optionHelp: {
    input: 'An input, as name=value.',
    inputs: 'A JSON file with inputs.',
    format: 'text (default), json or mermaid.',
  },
  positionals: [1, 1],
  run: ({ positionals, values, workspace }) =>
    withEngine(workspace, async (engine) => {
      const [file = ''] = positionals;
      const pairs = texts(values, 'input');
      const inputs = readInputs(pairs, text(values, 'inputs'), pairs.length > 0 ? await engine.inputFields(file) : {});
      if (!inputs.ok) return complain(inputs.failure);
      const plan = await engine.plan(file, inputs.value);
      for (const line of plan.checked ? renderDiagnostics(file, plan.checked.text, plan.checked.diagnostics) : [])
        err(line);
      if (!plan.ok) return plan.failure.reason === 'invalid-workflow' ? EXIT.usage : complain(plan.failure);
      switch (text(values, 'format') ?? 'text') {
        case 'json':
          out(canonicalPlan(plan.value));
          return 0;
        case 'mermaid':
          out(mermaid(plan.value));
          return 0;
        case 'text':
          out(describe(plan.value));
          return 0;
        default:
          err('stationmaster plan: --format is text, json or mermaid');
          return EXIT.usage;
      }
    }),
};

function describe(plan: Plan): string {
  const hash = createHash('sha256').update(canonicalPlan(plan)).digest('hex').slice(0, 12);
  const lines = [`${plan.name} (plan ${hash})`];
  for (const [index, layer] of layers(plan).entries()) {
    lines.push(`${index + 1}.`);
    for (const step of layer) lines.push(`   ${step.id}: ${what(step)}${notes(step)}`);
  }
  const { parallel, time, cost, tokens } = plan.limits;
  const ceilings = [
    parallel === undefined ? undefined : `${parallel} at once`,
    time === undefined ? undefined : formatDuration(time),
    cost === undefined ? undefined : `${cost.amount} ${cost.currency}`,
    tokens === undefined ? undefined : `${tokens} tokens`,
  ].filter((part) => part !== undefined);
  lines.push(`ceilings: ${ceilings.length > 0 ? ceilings.join(', ') : 'none'}`);
  return lines.join('\n');
}

function what(step: PlanStep): string {
  if (step.action === 'ask') return 'asks a person';
  const [subject = ''] = String(step.subject).trim().split('\n');
  return `${step.action} ${subject.length > 60 ? `${subject.slice(0, 59)}…` : subject}`;
}

function notes(step: PlanStep): string {
  const parts = [
    step.dependsOn.length > 0 ? `after ${step.dependsOn.join(', ')}` : undefined,
    step.when === undefined ? undefined : `when ${step.when}`,
    step.forEach === undefined ? undefined : 'for each item',
    step.heal
      ? `heals, at most ${step.heal.maxTotalIterations} rounds in ${formatDuration(step.heal.maxHealingTime)}`
      : undefined,
    step.retry ? `at most ${step.retry.maxAttempts} attempts` : undefined,
    step.timeout === undefined ? undefined : `at most ${formatDuration(step.timeout)}`,
    step.review ? 'review' : undefined,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? ` (${parts.join('; ')})` : '';
}

/** Steps by the earliest moment at which they can start. */
function layers(plan: Plan): PlanStep[][] {
  const left = new Map(plan.steps.map((step) => [step.id, step]));
  const done = new Set<string>();
  const found: PlanStep[][] = [];
  while (left.size > 0) {
    const layer = [...left.values()].filter((step) => step.dependsOn.every((id) => done.has(id)));
    if (layer.length === 0) break;
    for (const step of layer) left.delete(step.id);
    for (const step of layer) done.add(step.id);
    found.push(layer);
  }
  return found;
}

function mermaid(plan: Plan): string {
  const label = (step: PlanStep) =>
    `${step.name ?? step.id}<br/><small>${step.action}</small>`.replaceAll('"', '#quot;');
  const nodes = plan.steps.map((step) => `  ${step.id}["${label(step)}"]`);
  const edges = plan.steps.flatMap((step) => step.dependsOn.map((id) => `  ${id} --> ${step.id}`));
  return ['flowchart TD', ...nodes, ...edges].join('\n');
}
