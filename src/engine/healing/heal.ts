import type { HealPolicy } from '../../language/workflow/plan.ts';
import type { Finding, HealAction, Question, StepFailure } from '../core/events.ts';
import { guardrailReached } from '../core/guardrails.ts';
import type { HealingSession } from '../core/state.ts';
import { classify, SPECIALIST } from './classify.ts';
import type { Playbook, PlaybookContext } from './playbook.ts';

export interface HealContext extends PlaybookContext {
  readonly policy: HealPolicy;
  readonly now: () => number;
  session(): HealingSession | undefined;
  /** Records that a round begins; durable when it returns, so that the guardrails count it whatever happens. */
  begin(finding: Finding): Promise<void>;
  act(action: HealAction): Promise<void>;
}

export type HealVerdict = { readonly kind: 'retry' } | { readonly kind: 'ask'; readonly question: Question };

/** The failure with what was found in the log, for the record and for people. */
export function diagnose(log: string, failure: StepFailure): StepFailure & { findings: readonly Finding[] } {
  const findings = classify(log, failure);
  return { ...failure, type: findings[0]!.type, findings };
}

/**
 * One round of healing: asks the guardrails, finds a playbook for what went wrong, applies it. The caller executes the step
 * again on `retry` and puts the question to the person on `ask`.
 */
export async function heal(
  failure: StepFailure & { findings: readonly Finding[] },
  playbooks: readonly Playbook[],
  context: HealContext,
): Promise<HealVerdict> {
  const [main] = failure.findings as [Finding, ...Finding[]];
  const reached = guardrailReached(context.session(), context.policy, main.type, context.now());
  if (reached) return escalate(failure, `${reached.message}. Guardrail: ${reached.guardrail}`, context);
  const found = await findPlaybook(failure.findings, playbooks, context);
  if (!found) return escalate(failure, 'no playbook knows this error', context);
  const { finding, playbook, proposal } = found;
  if (context.policy.apply === 'never')
    return escalate(failure, `a fix is known but \`apply: never\` forbids it: ${proposal}`, context);
  if (context.policy.apply === 'ask' && !context.session()?.approved) {
    const text = `${headline(failure)}\nProposed fix (${playbook.name}): ${proposal}.`;
    return { kind: 'ask', question: { kind: 'approval', text, options: ['apply', 'retry', 'skip'] } };
  }
  await context.begin(finding);
  const outcome = await applySafely(playbook, finding, context);
  const action: HealAction = {
    errorType: finding.type,
    specialist: SPECIALIST[finding.type],
    finding,
    playbook: playbook.name,
    description: outcome.description,
    changed: outcome.kind === 'applied' ? outcome.changed : [],
    outcome: outcome.kind,
    ...(outcome.kind === 'applied' && outcome.port !== undefined ? { port: outcome.port } : {}),
  };
  await context.act(action);
  return outcome.kind === 'applied' ? { kind: 'retry' } : escalate(failure, outcome.description, context);
}

async function findPlaybook(findings: readonly Finding[], playbooks: readonly Playbook[], context: HealContext) {
  for (const finding of findings) {
    for (const playbook of playbooks) {
      if (playbook.type !== finding.type) continue;
      const proposal = await playbook.propose(finding, context);
      if (proposal !== undefined) return { finding, playbook, proposal };
    }
  }
  return undefined;
}

async function applySafely(playbook: Playbook, finding: Finding, context: HealContext) {
  try {
    return await playbook.apply(finding, context);
  } catch (error) {
    return {
      kind: 'failed' as const,
      description: `${playbook.name} failed: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function headline(failure: StepFailure & { findings: readonly Finding[] }): string {
  const [main] = failure.findings as [Finding, ...Finding[]];
  const place = main.file === undefined ? '' : ` (${main.file}${main.line === undefined ? '' : `:${main.line}`})`;
  return main.message === failure.message
    ? `${main.type}: ${main.message}${place}`
    : `${main.type}: ${main.message}${place}. ${failure.message}`;
}

async function escalate(
  failure: StepFailure & { findings: readonly Finding[] },
  why: string,
  context: HealContext,
): Promise<HealVerdict> {
  const [main] = failure.findings as [Finding, ...Finding[]];
  await context.act({
    errorType: main.type,
    specialist: SPECIALIST[main.type],
    finding: main,
    description: why,
    changed: [],
    outcome: 'escalated',
  });
  const text = `${headline(failure)}\nHealing stopped: ${why}.`;
  return { kind: 'ask', question: { kind: 'escalation', text, options: ['retry', 'skip', 'help'] } };
}
