import { formatDuration } from '../../language/values.ts';
import type { HealPolicy } from '../../language/workflow/plan.ts';
import type { ErrorType } from './events.ts';
import type { HealingSession } from './state.ts';

export interface GuardrailReached {
  readonly guardrail: 'attempts-per-error' | 'total-iterations' | 'healing-time' | 'consecutive-failures';
  readonly message: string;
}

/** Time spent healing so far, waiting for people left out. Milliseconds. */
export function healingTime(session: HealingSession, now: number): number {
  return session.spentBefore + Math.max(0, now - session.resumedAt);
}

/**
 * Asked before each attempt (invariant 10): whether one of the four guardrails forbids it. The session is the fold of the
 * journal, so the counts survive a restart.
 */
export function guardrailReached(
  session: HealingSession | undefined,
  policy: HealPolicy,
  errorType: ErrorType,
  now: number,
): GuardrailReached | undefined {
  if (!session) return undefined;
  const attempts = session.attemptsByType[errorType] ?? 0;
  if (attempts >= policy.maxAttemptsPerError) {
    return { guardrail: 'attempts-per-error', message: `${attempts} fixes were tried for ${errorType}, the limit` };
  }
  if (session.iterations >= policy.maxTotalIterations) {
    return { guardrail: 'total-iterations', message: `${session.iterations} rounds of healing, the limit` };
  }
  const time = healingTime(session, now);
  if (time >= policy.maxHealingTime) {
    return {
      guardrail: 'healing-time',
      message: `${formatDuration(time)} of healing; the limit is ${formatDuration(policy.maxHealingTime)}`,
    };
  }
  if (session.consecutiveFailures >= policy.maxConsecutiveFailures) {
    return {
      guardrail: 'consecutive-failures',
      message: `${session.consecutiveFailures} rounds in a row without progress, the limit`,
    };
  }
  return undefined;
}
