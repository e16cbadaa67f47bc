import { StationRegistry } from '../../src/engine/stations/registry.ts';
import { checkPrompt } from '../../src/language/prompt/check.ts';
import type { Surroundings } from '../../src/language/signature.ts';
import { checkWorkflow } from '../../src/language/workflow/check.ts';

/** Surroundings made of texts: file name → content. */
export function surroundingsOf(
  files: Readonly<Record<string, string>> = {},
  stack: readonly string[] = [],
): Surroundings {
  return {
    stations: () => new StationRegistry().all().map((station) => station.signature),
    agents: () => ['local'],
    prompt(path) {
      const source = files[path];
      if (source === undefined) return undefined;
      const { input, output, diagnostics } = checkPrompt(source, path);
      return { source, input, diagnostics, ...(output ? { output } : {}) };
    },
    workflow(path) {
      const source = files[path];
      if (source === undefined) return undefined;
      if (stack.includes(path)) return { recursive: true };
      const { checked } = checkWorkflow(source, surroundingsOf(files, [...stack, path]));
      return checked ? { checked } : {};
    },
  };
}
