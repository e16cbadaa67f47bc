import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from '../../../scripts/generate.ts';
import { checkWorkflow } from '../../../src/language/workflow/check.ts';
import { canonicalPlan, createPlan } from '../../../src/language/workflow/plan.ts';
import { planOf } from '../../rig/plans.ts';
import { surroundingsOf } from '../../rig/surroundings.ts';

describe('plans', () => {
  const text =
    'inputs: { n: { type: integer, default: 2 }, who: { required: true } }\nsteps: { a: { run: echo, retry: { max_attempts: 2 } }, b: { run: x, depends_on: a, heal: true } }\n';

  it('are the same for the same text and inputs, byte for byte', () => {
    assert.equal(canonicalPlan(planOf(text, { who: 'x' })), canonicalPlan(planOf(text, { who: 'x' })));
    assert.notEqual(canonicalPlan(planOf(text, { who: 'x' })), canonicalPlan(planOf(text, { who: 'y' })));
  });

  it('leave no default open', () => {
    const plan = planOf(text, { who: 'x' });
    assert.deepEqual(plan.inputs, { n: 2, who: 'x' });
    assert.deepEqual(plan.steps[0]!.retry, { maxAttempts: 2, backoff: 'exponential', delay: 1000 });
    assert.equal(plan.steps[1]!.heal!.maxTotalIterations, 15);
  });

  it('refuse inputs that are missing, unknown or ill-typed, all at once', () => {
    const { checked } = checkWorkflow(text, surroundingsOf());
    const plan = createPlan(checked!, { n: 'x', wo: 1 });
    assert.ok(!plan.ok);
    assert.match(plan.failure.message, /no input "wo"; did you mean "who"\?.*input "n": .*input "who" is required/);
  });

  it('keep their own copy of the workflows and prompts they use', () => {
    const plan = planOf(
      'steps: { a: { workflow: c.workflow.yaml }, p: { prompt: p.prompt, assigned_to: human } }',
      {},
      { 'c.workflow.yaml': 'steps: { x: { run: y } }', 'p.prompt': 'hello' },
    );
    assert.equal(plan.workflows['c.workflow.yaml']!.steps[0]!.id, 'x');
    assert.equal(plan.prompts['p.prompt'], 'hello');
  });
});

describe('generated files', () => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    it(`${path} is what the tables say`, () => {
      assert.equal(readFileSync(join(import.meta.dirname, '../../..', path), 'utf8'), text);
    });
  }
});
