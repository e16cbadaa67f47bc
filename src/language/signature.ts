import type { JsonObject } from '../base/json.ts';
import type { Diagnostic } from './diagnostics.ts';
import type { CheckedWorkflow } from './workflow/check.ts';

/** What is said of a station without running it: what it takes, gives and can heal. */
export interface StationSignature {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of `with`: `type: object`, with `properties` and `required`. */
  readonly inputs: JsonObject;
  /** Output names and their JSON Schemas. */
  readonly outputs: Readonly<Record<string, JsonObject>>;
}

export interface PromptFacts {
  readonly source: string;
  readonly input: JsonObject;
  readonly output?: JsonObject;
  readonly diagnostics: readonly Diagnostic[];
}

/** What a workflow file stands among. The host answers; nothing here reads a disk. */
export interface Surroundings {
  stations(): readonly StationSignature[];
  agents(): readonly string[];
  prompt(path: string): PromptFacts | undefined;
  /** A checked workflow file; `problems` when it has errors. `undefined`: no such file. */
  workflow(path: string): { readonly checked?: CheckedWorkflow; readonly recursive?: boolean } | undefined;
}

export const BUILT_IN_AGENTS = [
  'analyst',
  'implementer',
  'tester',
  'devops',
  'architect',
  'factory',
  'reviewer',
] as const;
