import { isObject } from '../../base/json.ts';
import { didYouMean } from '../../base/nearest.ts';
import type { Problems, Range } from '../diagnostics.ts';
import { type CelProblem, checkTypes, dyn, parseExpression, type Reference, type Shape } from '../expression/cel.ts';
import { hasExpression, parseTemplate } from '../expression/template.ts';
import { type Entry, type Located, rangeWithin, textOf, toJson, valueAt } from '../located.ts';
import type { Surroundings } from '../signature.ts';
import { knownArtifacts } from './check-products.ts';
import { toField } from './fields.ts';
import type { Graph } from './graph.ts';
import type { StepModel, WorkflowModel } from './model.ts';

/** What an expression may use where it stands. */
interface Place {
  readonly step?: StepModel;
  readonly names: ReadonlySet<string>;
  /** Whether the expression may call always(), failure() and success(). */
  readonly status?: boolean;
}

const STEP_FIELDS = ['status', 'outputs', 'duration', 'attempt'];
const ARTIFACT_FIELDS = ['path', 'text', 'json', 'version', 'sha256'];
const RUN_FIELDS = ['id', 'started_at'];
const STEP_NAMES = ['inputs', 'env', 'steps', 'artifacts', 'run'];

export function checkExpressions(
  model: WorkflowModel,
  graph: Graph,
  surroundings: Surroundings,
  problems: Problems,
): void {
  new ExpressionCheck(model, graph, surroundings, problems).all();
}

class ExpressionCheck {
  private readonly model: WorkflowModel;
  private readonly graph: Graph;
  private readonly surroundings: Surroundings;
  private readonly problems: Problems;
  private readonly inputsShape: Shape;
  private readonly outputShapes = new Map<string, ReadonlyMap<string, Shape> | undefined>();

  constructor(model: WorkflowModel, graph: Graph, surroundings: Surroundings, problems: Problems) {
    this.model = model;
    this.graph = graph;
    this.surroundings = surroundings;
    this.problems = problems;
    const fields = [...model.inputs].map(([name, input]): [string, Shape] => [name, fieldShape(toJson(input))]);
    this.inputsShape = { type: 'object', fields: new Map(fields) };
  }

  all(): void {
    const { root } = this.model;
    for (const entry of this.model.env) this.value(entry.value, { names: new Set(['inputs', 'run', 'secrets']) });
    this.value(valueAt(valueAt(root, 'concurrency'), 'group'), { names: new Set(['inputs']) });
    const kpis = valueAt(root, 'kpis');
    for (const kpi of kpis?.kind === 'list' ? kpis.items : []) {
      this.value(valueAt(kpi, 'value'), { names: new Set(['inputs', 'steps', 'artifacts', 'run']) });
    }
    for (const step of this.model.steps) this.step(step);
  }

  private step(step: StepModel): void {
    const own = new Set(STEP_NAMES);
    if (step.keys.has('for_each')) own.add('item');
    if (step.action === 'launch') own.add('port');
    const place: Place = { step, names: own };
    for (const key of ['with', 'define', 'produces', 'ask', 'ready']) this.value(step.keys.get(key)?.value, place);
    this.value(step.keys.get('for_each')?.value, { step, names: new Set(STEP_NAMES) });
    const env = step.keys.get('env')?.value;
    this.value(env, { step, names: new Set([...own, 'secrets']) });
    this.when(step.keys.get('when'), step);
  }

  private when(entry: Entry | undefined, step: StepModel): void {
    const source = textOf(entry?.value);
    if (entry === undefined || source === undefined) return;
    const place: Place = { step, names: new Set(STEP_NAMES), status: true };
    if (hasExpression(source)) return this.value(entry.value, place);
    this.expression(source, (range) => rangeWithin(entry.value, range[0], range[1]), place);
  }

  private value(value: Located | undefined, place: Place): void {
    if (value === undefined) return;
    if (value.kind === 'list') for (const item of value.items) this.value(item, place);
    else if (value.kind === 'map') for (const entry of value.entries) this.value(entry.value, place);
    else if (typeof value.value === 'string' && hasExpression(value.value)) {
      const template = parseTemplate(value.value);
      if (template.unclosedAt !== undefined) {
        const range = rangeWithin(value, template.unclosedAt, value.value.length);
        this.problems.error('expression-unclosed', range, 'this `${{` is never closed with `}}`');
      }
      for (const { source, sourceStart } of template.placeholders) {
        this.expression(source, ([start, end]) => rangeWithin(value, sourceStart + start, sourceStart + end), place);
      }
    }
  }

  private expression(source: string, rangeOf: (range: Range) => Range, place: Place): void {
    const parsed = parseExpression(source);
    for (const problem of parsed.problems) this.celProblem(problem, rangeOf);
    for (const call of parsed.calls) {
      if (!place.status && ['always', 'failure', 'success'].includes(call)) {
        this.problems.error('unknown-name', rangeOf([0, source.length]), `${call}() can be used in "when" alone`);
      }
    }
    const before = this.problems.list.length;
    for (const reference of parsed.references) this.reference(reference, rangeOf, place);
    const sound = parsed.problems.length === 0 && this.problems.list.length === before;
    if (sound && parsed.references.length > 0 && !parsed.isReference) {
      const problem = checkTypes(source, this.scopeOf(parsed.references));
      if (problem) this.celProblem(problem, rangeOf);
    }
  }

  private celProblem(problem: CelProblem, rangeOf: (range: Range) => Range): void {
    const code = problem.kind === 'syntax' ? 'expression-syntax' : 'expression-type';
    this.problems.error(code, rangeOf(problem.range), `in the expression: ${problem.message}`);
  }

  private reference({ path, ranges }: Reference, rangeOf: (range: Range) => Range, place: Place): void {
    const [root, second, third, fourth] = path;
    const report = (index: number, code: Parameters<Problems['error']>[0], message: string) =>
      this.problems.error(code, rangeOf(ranges[index]!), message);
    if (!place.names.has(root!)) {
      if (root === 'secrets')
        return report(0, 'secret-outside-env', 'secrets may be used in "env" alone, so that they can be masked');
      const outside = ['item', 'port', 'steps', 'artifacts', 'env', 'run', 'inputs'].includes(root!);
      const why = outside
        ? `"${root}" cannot be used here`
        : `"${root}" is not in scope${didYouMean(root!, place.names)}`;
      return report(0, 'unknown-name', `${why}; in scope: ${[...place.names].join(', ')}`);
    }
    if (second === undefined) return;
    if (root === 'inputs' && !this.model.inputs.has(second)) {
      const names = [...this.model.inputs.keys()];
      const known = names.length === 0 ? '; the workflow declares no inputs' : `; declared: ${names.join(', ')}`;
      report(1, 'unknown-input', `no input is called "${second}"${didYouMean(second, names) || known}`);
    } else if (root === 'secrets' && !this.model.secrets.has(second)) {
      report(
        1,
        'undeclared-secret',
        `add "${second}" to "secrets" of the workflow${didYouMean(second, this.model.secrets)}`,
      );
    } else if (root === 'run' && !RUN_FIELDS.includes(second)) {
      report(1, 'unknown-name', `"run" has ${RUN_FIELDS.join(' and ')}, not "${second}"`);
    } else if (root === 'steps') {
      const target = this.target(second, report, place);
      if (!target || third === undefined) return;
      if (!STEP_FIELDS.includes(third)) {
        return report(
          2,
          'unknown-name',
          `a step has ${STEP_FIELDS.join(', ')}, not "${third}"${didYouMean(third, STEP_FIELDS)}`,
        );
      }
      const outputs = third === 'outputs' && fourth !== undefined ? this.outputsOf(target) : undefined;
      if (outputs && !outputs.has(fourth!)) {
        const names = [...outputs.keys()];
        const hint =
          didYouMean(fourth!, names) || (names.length === 0 ? '; it has none' : `; it has ${names.join(', ')}`);
        report(3, 'unknown-output', `step "${second}" has no output "${fourth}"${hint}`);
      }
    } else if (root === 'artifacts') {
      const target = this.target(second, report, place);
      if (!target || third === undefined) return;
      const known = knownArtifacts(target);
      if (known && !known.has(third)) {
        return report(2, 'unknown-artifact', `step "${second}" produces no "${third}"${didYouMean(third, known)}`);
      }
      if (fourth !== undefined && !ARTIFACT_FIELDS.includes(fourth)) {
        report(
          3,
          'unknown-name',
          `an artifact has ${ARTIFACT_FIELDS.join(', ')}, not "${fourth}"${didYouMean(fourth, ARTIFACT_FIELDS)}`,
        );
      }
    }
  }

  private target(
    id: string,
    report: (index: number, code: Parameters<Problems['error']>[0], message: string) => void,
    place: Place,
  ): StepModel | undefined {
    const target = this.model.byId.get(id);
    if (!target) {
      report(1, 'unknown-step', `no step is called "${id}"${didYouMean(id, this.model.byId.keys())}`);
    } else if (place.step && (target === place.step || !this.graph.isUpstream(target.index, place.step.index))) {
      const what =
        target === place.step
          ? 'a step cannot refer to itself'
          : `"${place.step.id}" does not depend on "${id}"; add it to "depends_on"`;
      report(1, 'not-upstream', what);
    }
    return target;
  }

  /** The outputs a step is known to have; undefined when it may have any. */
  private outputsOf(step: StepModel): ReadonlyMap<string, Shape> | undefined {
    if (!this.outputShapes.has(step.id)) this.outputShapes.set(step.id, this.findOutputs(step));
    return this.outputShapes.get(step.id);
  }

  private findOutputs(step: StepModel): ReadonlyMap<string, Shape> | undefined {
    if (step.keys.has('for_each')) return new Map([['items', { type: 'list' } as const]]);
    const shapes = new Map<string, Shape>();
    const declared = step.keys.get('outputs')?.value;
    for (const entry of declared?.kind === 'map' ? declared.entries : []) {
      const type = textOf(entry.value);
      shapes.set(entry.key, type === undefined ? fieldShape(toJson(entry.value)) : fieldShape({ type }));
    }
    if (step.action === 'ask') {
      shapes.set('answer', { type: 'string' });
      shapes.set('text', { type: 'string' });
      const fields = valueAt(step.keys.get('ask')?.value, 'fields');
      for (const entry of fields?.kind === 'map' ? fields.entries : [])
        shapes.set(entry.key, fieldShape(toJson(entry.value)));
      return shapes;
    }
    if (step.action === 'launch')
      return new Map<string, Shape>([
        ['port', dyn],
        ['url', dyn],
      ]);
    if (step.action === 'use') {
      const name = textOf(step.keys.get('use')!.value);
      const station = this.surroundings.stations().find((candidate) => candidate.name === name);
      if (!station) return undefined;
      for (const [output, schema] of Object.entries(station.outputs)) shapes.set(output, fieldShape(schema));
      return shapes;
    }
    if (step.action === 'prompt') {
      const output = this.surroundings.prompt(textOf(step.keys.get('prompt')!.value) ?? '')?.output;
      if (!output || !isObject(output['properties'])) return shapes.size > 0 ? shapes : undefined;
      for (const [name, schema] of Object.entries(output['properties'])) shapes.set(name, fieldShape(schema));
      shapes.set('text', { type: 'string' });
      return shapes;
    }
    return shapes.size > 0 ? shapes : undefined;
  }

  /** Types of what these references name, no more: checking one expression must not cost the whole workflow. */
  private scopeOf(references: readonly Reference[]): Map<string, Shape> {
    const scope = new Map<string, Shape>();
    const steps = new Map<string, Shape>();
    for (const { path } of references) {
      if (path[0] === 'inputs' && path[1] !== undefined) scope.set('inputs', this.inputsShape);
      const step = path[0] === 'steps' && path[1] !== undefined ? this.model.byId.get(path[1]) : undefined;
      if (!step) continue;
      const outputs = this.outputsOf(step);
      const fields = new Map<string, Shape>([
        ['status', { type: 'string' }],
        ['attempt', { type: 'int' }],
        ['duration', dyn],
        ['outputs', outputs && outputs.size > 0 ? { type: 'object', fields: outputs } : dyn],
      ]);
      steps.set(step.id, { type: 'object', fields });
    }
    if (steps.size > 0) scope.set('steps', { type: 'object', fields: steps });
    return scope;
  }
}

function fieldShape(source: unknown): Shape {
  const { type } = toField(source);
  if (isObject(source) && source['type'] === undefined && source['enum'] !== undefined) return dyn;
  switch (type) {
    case 'string':
      return { type: 'string' };
    case 'integer':
      return { type: 'int' };
    case 'boolean':
      return { type: 'bool' };
    case 'array':
      return { type: 'list' };
    default:
      // A JSON number may be whole or not, and an object may hold anything: CEL decides when it runs.
      return dyn;
  }
}
