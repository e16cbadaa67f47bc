import { didYouMean } from '../../base/nearest.ts';
import type { Problems } from '../diagnostics.ts';
import { hasExpression } from '../expression/template.ts';
import { textOf } from '../located.ts';
import type { Graph } from './graph.ts';
import type { StepModel, WorkflowModel } from './model.ts';

/** Products that would overwrite each other, mounts of what does not exist. */
export function checkProducts(model: WorkflowModel, graph: Graph, problems: Problems): void {
  const byPath = new Map<string, { step: StepModel; range: readonly [number, number]; name: string }[]>();
  for (const step of model.steps) {
    const own = new Map<string, string>();
    for (const { name, path, range } of productsOf(step)) {
      const twin = own.get(path);
      if (twin !== undefined)
        problems.error('product-collision', range, `products "${twin}" and "${name}" are the same file, ${path}`);
      else if (step.keys.has('for_each') && !hasExpression(path)) {
        problems.error(
          'product-collision',
          range,
          `every instance of "${step.id}" would write ${path}; use \${{ item }} in the path`,
        );
      }
      own.set(path, name);
      byPath.set(path, [...(byPath.get(path) ?? []), { step, range, name }]);
    }
    checkMounts(step, own, model, graph, problems);
  }
  for (const [path, products] of byPath) {
    for (const [index, product] of products.entries()) {
      const rival = products
        .slice(0, index)
        .find(({ step }) => step !== product.step && !ordered(step.index, product.step.index, graph));
      if (!rival) continue;
      problems.error(
        'product-collision',
        product.range,
        `"${rival.step.id}" and "${product.step.id}" may run at the same time and both write ${path}`,
        [{ message: `also a product of "${rival.step.id}"`, range: rival.range }],
      );
    }
  }
}

function ordered(a: number, b: number, graph: Graph): boolean {
  return graph.isUpstream(a, b) || graph.isUpstream(b, a);
}

export function productsOf(step: StepModel): { name: string; path: string; range: readonly [number, number] }[] {
  const produces = step.keys.get('produces')?.value;
  if (produces?.kind !== 'map') return [];
  return produces.entries.flatMap((entry) => {
    const path = textOf(entry.value);
    return path === undefined ? [] : [{ name: entry.key, path: normalise(path), range: entry.value.range }];
  });
}

function checkMounts(
  step: StepModel,
  own: ReadonlyMap<string, string>,
  model: WorkflowModel,
  graph: Graph,
  problems: Problems,
): void {
  const mounts = step.keys.get('mount')?.value;
  if (mounts?.kind !== 'map') return;
  const seen = new Map<string, readonly [number, number]>();
  for (const entry of mounts.entries) {
    const path = normalise(entry.key);
    const first = seen.get(path);
    if (first)
      problems.error('mount-collision', entry.keyRange, `${path} is mounted twice`, [
        { message: 'first here', range: first },
      ]);
    else if (own.has(path))
      problems.error(
        'mount-collision',
        entry.keyRange,
        `${path} is mounted here and is also this step’s product "${own.get(path)}"`,
      );
    seen.set(path, entry.keyRange);
    const reference = textOf(entry.value);
    if (reference === undefined) continue;
    const match = /^([^.]+)\.([^.@]+)(?:@(\d+))?$/.exec(reference.trim());
    if (!match) {
      problems.error('bad-mount', entry.value.range, `"${reference}" is no artifact; write \`step.product\``);
      continue;
    }
    const source = model.byId.get(match[1]!);
    if (!source) {
      problems.error(
        'unknown-step',
        entry.value.range,
        `no step is called "${match[1]}"${didYouMean(match[1]!, model.byId.keys())}`,
      );
    } else if (!graph.isUpstream(source.index, step.index)) {
      problems.error(
        'not-upstream',
        entry.value.range,
        `"${step.id}" does not depend on "${source.id}"; add it to "depends_on"`,
      );
    } else if (!knownArtifacts(source)?.has(match[2]!) && knownArtifacts(source) !== undefined) {
      problems.error(
        'unknown-artifact',
        entry.value.range,
        `step "${source.id}" produces no "${match[2]}"${didYouMean(match[2]!, knownArtifacts(source)!)}`,
      );
    }
  }
}

/** The artifacts a step is known to produce; undefined when it may produce any. */
export function knownArtifacts(step: StepModel): ReadonlySet<string> | undefined {
  const names = new Set(productsOf(step).map(({ name }) => name));
  // What a script leaves in STATIONMASTER_ARTIFACTS, or a sub-workflow produces, is not known before it ran.
  if (names.size > 0) return names;
  return step.action === 'ask' || step.action === 'launch' ? names : undefined;
}

function normalise(path: string): string {
  return path
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '.' && part !== '')
    .join('/');
}
