import type { PlanStep } from '../../language/workflow/plan.ts';
import type { Question } from '../core/events.ts';
import { failed, type StationResult } from './station.ts';

/** A task as it is put to whoever does it: the same for a person, an agent and a function. */
export interface Task {
  readonly path: string;
  readonly step: PlanStep;
  /** What is to be done, in words: the rendered prompt, or what the step says of itself. */
  readonly text: string;
  /** Executes the step as a program would. Not there for a prompt, which no program can answer. */
  readonly execute?: () => Promise<StationResult>;
}

export type HandlerResult = StationResult | { readonly kind: 'ask'; readonly question: Question };

/** Does tasks. A host may put another in the place of each. */
export type TaskHandler = (task: Task) => Promise<HandlerResult>;

export interface TaskHandlers {
  readonly human: TaskHandler;
  readonly agentic: TaskHandler;
  readonly functional: TaskHandler;
}

/** A person answers a prompt in words, and says of anything else whether it is done. */
const human: TaskHandler = async ({ step, text }) => {
  if (step.action === 'prompt') return { kind: 'ask', question: { kind: 'prompt', text, options: [] } };
  return { kind: 'ask', question: { kind: 'task', text, options: ['done', 'failed'] } };
};

/** Nobody answers for an agent until a provider of models takes this place. */
const agentic: TaskHandler = async () =>
  failed(
    'no-agent',
    'no model provider is set up, so no agent can do this; add `assigned_to: human` to put it to a person',
  );

const functional: TaskHandler = async ({ execute }) =>
  execute
    ? execute()
    : failed('not-a-function', 'a prompt cannot be answered by a program; assign it to a person or an agent');

export const DEFAULT_HANDLERS: TaskHandlers = { human, agentic, functional };

/** Who does a step when it does not say. */
export function assigneeOf(step: PlanStep): keyof TaskHandlers {
  return step.assignedTo ?? (step.action === 'prompt' ? 'agentic' : 'functional');
}

/** What a step asks a person to do, in words. */
export function describeTask(step: PlanStep): string {
  const what = step.description ?? step.name ?? step.id;
  const how =
    step.action === 'use'
      ? `station ${String(step.subject)} with ${JSON.stringify(step.with)}`
      : String(step.subject).trim();
  return `${what}\n${how}`;
}
