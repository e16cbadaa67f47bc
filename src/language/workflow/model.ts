import type { Entry, Located } from '../located.ts';
import { textOf, valueAt } from '../located.ts';
import { ACTION_KEYS, type Action } from './keys.ts';

/** A step as written: its entries by key, with places. Nothing is assumed to be right. */
export interface StepModel {
  readonly id: string;
  readonly index: number;
  readonly entry: Entry;
  readonly keys: ReadonlyMap<string, Entry>;
  readonly action: Action | undefined;
  /** Dependencies as written, with their places. */
  readonly dependsOn: readonly { readonly id: string; readonly value: Located }[];
}

export interface WorkflowModel {
  readonly root: Located | undefined;
  readonly steps: readonly StepModel[];
  readonly byId: ReadonlyMap<string, StepModel>;
  readonly inputs: ReadonlyMap<string, Located>;
  readonly secrets: ReadonlySet<string>;
  readonly env: readonly Entry[];
}

const ACTIONS = Object.keys(ACTION_KEYS) as Action[];

export function buildModel(root: Located | undefined): WorkflowModel {
  const stepsValue = valueAt(root, 'steps');
  const entries = stepsValue?.kind === 'map' ? stepsValue.entries : [];
  const steps = entries.map((entry, index): StepModel => {
    const keys = new Map(entry.value.kind === 'map' ? entry.value.entries.map((item) => [item.key, item]) : []);
    const action = ACTIONS.find((name) => keys.has(name));
    return { id: entry.key, index, entry, keys, action, dependsOn: readDependencies(keys.get('depends_on')?.value) };
  });
  const inputs = valueAt(root, 'inputs');
  const secrets = valueAt(root, 'secrets');
  const env = valueAt(root, 'env');
  return {
    root,
    steps,
    byId: new Map(steps.map((step) => [step.id, step])),
    inputs: new Map(inputs?.kind === 'map' ? inputs.entries.map((entry) => [entry.key, entry.value]) : []),
    secrets: new Set(secrets?.kind === 'list' ? secrets.items.map((item) => textOf(item) ?? '') : []),
    env: env?.kind === 'map' ? env.entries : [],
  };
}

function readDependencies(value: Located | undefined): { id: string; value: Located }[] {
  const items = value === undefined ? [] : value.kind === 'list' ? value.items : [value];
  return items.flatMap((item) => {
    const id = textOf(item);
    return id === undefined ? [] : [{ id, value: item }];
  });
}
