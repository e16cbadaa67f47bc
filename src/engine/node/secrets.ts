import { Masker } from '../../base/masking.ts';
import type { Plan } from '../../language/workflow/plan.ts';

/** A step names a secret that it cannot have. */
export class MissingSecret extends Error {}

/** The secrets of a run: their values live here and in the environment of the steps that name them, and nowhere else. */
export class Secrets {
  readonly masker: Masker;
  private readonly declared: readonly string[];
  private readonly values: ReadonlyMap<string, string>;

  constructor(plan: Plan, env: NodeJS.ProcessEnv = process.env) {
    this.declared = plan.secrets;
    const found = plan.secrets.flatMap((name): [string, string][] => {
      const value = env[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    });
    this.values = new Map(found);
    this.masker = new Masker([...this.values.values()]);
  }

  get any(): boolean {
    return this.values.size > 0;
  }

  /** @throws MissingSecret with what to do about it */
  value(name: string): string {
    if (!this.declared.includes(name)) {
      throw new MissingSecret(`secret ${name} must be listed under \`secrets\` of the workflow that was started, too`);
    }
    const value = this.values.get(name);
    if (value === undefined) {
      throw new MissingSecret(`secret ${name} has no value; set the environment variable ${name} and resume`);
    }
    return value;
  }

  /** Any value with every secret in its texts masked. */
  mask<Value>(value: Value): Value {
    if (!this.any) return value;
    if (typeof value === 'string') return this.masker.mask(value) as Value;
    return JSON.parse(this.masker.mask(JSON.stringify(value) ?? 'null')) as Value;
  }
}
