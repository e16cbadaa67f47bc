import { renderDiagnostics } from '../../src/language/text.ts';
import { checkWorkflow } from '../../src/language/workflow/check.ts';
import { createPlan, type Plan } from '../../src/language/workflow/plan.ts';
import { surroundingsOf } from './surroundings.ts';

/** The plan of a workflow's text; throws when it has an error. */
export function planOf(text: string, inputs: Record<string, unknown> = {}, files: Record<string, string> = {}): Plan {
  const { checked, diagnostics } = checkWorkflow(text, surroundingsOf(files));
  if (!checked) throw new Error(renderDiagnostics('', text, diagnostics).join('\n'));
  const plan = createPlan(checked, inputs);
  if (!plan.ok) throw new Error(plan.failure.message);
  return plan.value;
}
