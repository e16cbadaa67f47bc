import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import type { checkPrompt } from '../../language/prompt/check.ts';
import type { PromptFacts, Surroundings } from '../../language/signature.ts';
import { checkWorkflow, type WorkflowCheck } from '../../language/workflow/check.ts';
import type { StationRegistry } from '../stations/registry.ts';

/**
 * What workflow files of a workspace stand among. Paths in a workflow are relative to the workspace, or to the workflow's
 * own folder when they are found there.
 */
export class WorkspaceSurroundings implements Surroundings {
  private readonly workspace: string;
  private readonly registry: StationRegistry;
  private readonly check: typeof checkPrompt | undefined;
  /** Files being checked, outermost first: a file among them would contain itself. */
  private readonly stack: readonly string[];
  private readonly prompts = new Map<string, PromptFacts | undefined>();

  constructor(
    workspace: string,
    registry: StationRegistry,
    options: { checkPrompt?: typeof checkPrompt; stack?: readonly string[] } = {},
  ) {
    this.workspace = workspace;
    this.registry = registry;
    this.check = options.checkPrompt;
    this.stack = options.stack ?? [];
  }

  stations() {
    return this.registry.all().map((station) => station.signature);
  }

  agents(): string[] {
    const folder = join(this.workspace, '.stationmaster', 'agents');
    if (!existsSync(folder)) return [];
    return readdirSync(folder).flatMap((file) => (file.endsWith('.md') ? [file.slice(0, -3)] : []));
  }

  prompt(path: string): PromptFacts | undefined {
    if (!this.prompts.has(path)) this.prompts.set(path, this.readPrompt(path));
    return this.prompts.get(path);
  }

  private readPrompt(path: string): PromptFacts | undefined {
    const source = this.read(path);
    if (source === undefined) return undefined;
    if (!this.check) throw new Error('a workflow with prompts was checked without the prompt checker');
    const { input, output, diagnostics } = this.check(source, path);
    return { source, input, diagnostics, ...(output ? { output } : {}) };
  }

  workflow(path: string): ReturnType<Surroundings['workflow']> {
    const found = this.find(path);
    if (found === undefined) return undefined;
    if (this.stack.includes(found)) return { recursive: true };
    return { ...(this.checkFile(found).checked ? { checked: this.checkFile(found).checked! } : {}) };
  }

  private readonly checks = new Map<string, WorkflowCheck>();

  private checkFile(file: string): WorkflowCheck {
    let check = this.checks.get(file);
    if (!check) {
      const inner = new WorkspaceSurroundings(this.workspace, this.registry, {
        ...(this.check ? { checkPrompt: this.check } : {}),
        stack: [...this.stack, file],
      });
      check = checkWorkflow(readFileSync(file, 'utf8'), inner);
      this.checks.set(file, check);
    }
    return check;
  }

  private find(path: string): string | undefined {
    const folder = this.stack.length > 0 ? dirname(this.stack[this.stack.length - 1]!) : this.workspace;
    return [join(this.workspace, path), join(folder, path)].find(
      (file) => existsSync(file) && !relative(this.workspace, file).startsWith('..'),
    );
  }

  private read(path: string): string | undefined {
    const file = this.find(posix.normalize(path));
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  }
}
