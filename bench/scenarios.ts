import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A graph of no-op shell steps: for each step, the steps it depends on. */
export interface Scenario {
  readonly name: string;
  readonly parallel: number;
  readonly dependencies: readonly (readonly number[])[];
}

function graph(count: number, of: (index: number) => number[]): number[][] {
  return Array.from({ length: count }, (_, index) => [...new Set(of(index))]);
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'chain of 200', parallel: 2, dependencies: graph(200, (i) => (i === 0 ? [] : [i - 1])) },
  { name: 'fan-out of 1,000, 2 at once', parallel: 2, dependencies: graph(1_000, () => []) },
  { name: 'fan-out of 1,000, 64 at once', parallel: 64, dependencies: graph(1_000, () => []) },
  {
    name: '20 layers of 50, 3 dependencies each',
    parallel: 2,
    dependencies: graph(1_000, (i) =>
      i < 50 ? [] : [0, 1, 2].map((k) => Math.floor(i / 50 - 1) * 50 + ((i * 7 + k * 13) % 50)),
    ),
  },
  { name: '10,000 steps', parallel: 2, dependencies: graph(10_000, (i) => (i < 100 ? [] : [i - 100])) },
];

/** Writes the scenario for every tool that takes a file. Each step is `:` in `sh`, its output in a log of its own. */
export function writeScenario(folder: string, { dependencies, parallel }: Scenario): void {
  mkdirSync(join(folder, 'logs'), { recursive: true });
  const id = (index: number) => `s${index}`;
  const steps = dependencies.map((list, index) => {
    const on = list.length > 0 ? `\n    depends_on: [${list.map(id).join(', ')}]` : '';
    return `  ${id(index)}:\n    run: ":"\n    shell: sh${on}`;
  });
  writeFileSync(
    join(folder, 'w.workflow.yaml'),
    `name: bench\nlimits: { parallel: ${parallel} }\nsteps:\n${steps.join('\n')}\n`,
  );

  const all = dependencies.map((_, index) => id(index)).join(' ');
  const rules = dependencies.map(
    (list, index) => `${id(index)}: ${list.map(id).join(' ')}\n\t@sh -c ':' > logs/${id(index)}.log 2>&1\n`,
  );
  writeFileSync(join(folder, 'Makefile'), `.PHONY: all ${all}\nall: ${all}\n${rules.join('')}`);

  const builds = dependencies.map((list, index) => `build ${id(index)}: step ${list.map(id).join(' ')}`);
  writeFileSync(
    join(folder, 'build.ninja'),
    `rule step\n  command = sh -c ':' > logs/$out.log 2>&1\n${builds.join('\n')}\nbuild all: phony ${all}\ndefault all\n`,
  );

  const wireit: Record<string, unknown> = { all: { dependencies: dependencies.map((_, index) => id(index)) } };
  const scripts: Record<string, string> = { all: 'wireit' };
  for (const [index, list] of dependencies.entries()) {
    scripts[id(index)] = 'wireit';
    wireit[id(index)] = { command: ':', dependencies: list.map(id) };
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bench', version: '1.0.0', scripts, wireit }));
  writeFileSync(join(folder, 'graph.json'), JSON.stringify({ parallel, dependencies }));
}
