import { globSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { loadStations } from '../../engine/node/stations-folder.ts';
import { WorkspaceSurroundings } from '../../engine/node/surroundings.ts';
import { StationRegistry } from '../../engine/stations/registry.ts';
import { checkAgent } from '../../language/agent/agent.ts';
import { DIAGNOSTICS, type Diagnostic } from '../../language/diagnostics.ts';
import { checkPrompt } from '../../language/prompt/check.ts';
import { LineIndex, renderDiagnostics } from '../../language/text.ts';
import { checkWorkflow } from '../../language/workflow/check.ts';
import { type Command, text } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { err, out } from '../terminal.ts';

export const checkCommand: Command = {
  summary: 'Check workflows, prompts and agents.',
  usage: '[paths…] [--format text|json|sarif]',
  details: `
Checks files, or all workflows, prompts and agents of the workspace when none is named. Prints
\`file:line:column: message [code]\`; docs/diagnostics.md explains each code. Exits with 2 when there is an error.`,
  options: { format: { type: 'string' } },
  optionHelp: { format: 'text (default), json or sarif.' },
  positionals: [0, 1000],
  async run({ positionals, values, workspace }) {
    const files = positionals.length > 0 ? positionals.flatMap((path) => filesAt(path)) : filesAt(workspace);
    if (files.length === 0) {
      err('stationmaster check: there is nothing to check; workflows are *.workflow.yaml, prompts *.prompt');
      return EXIT.usage;
    }
    const { stations, problems } = await loadStations(join(workspace, '.stationmaster', 'stations'));
    for (const problem of problems) err(problem);
    const registry = new StationRegistry(stations);
    const results = files.map((file): Checked => {
      const source = readFileSync(file, 'utf8');
      return {
        file: relative(process.cwd(), file) || file,
        source,
        diagnostics: diagnosticsOf(file, source, workspace, registry),
      };
    });
    const format = text(values, 'format') ?? 'text';
    if (format === 'json') for (const result of results) for (const line of jsonLines(result)) out(line);
    else if (format === 'sarif') out(JSON.stringify(sarif(results), null, 2));
    else if (format === 'text')
      for (const { file, source, diagnostics } of results)
        for (const line of renderDiagnostics(file, source, diagnostics)) out(line);
    else {
      err('stationmaster check: --format is text, json or sarif');
      return EXIT.usage;
    }
    const errors = results
      .flatMap((result) => result.diagnostics)
      .filter((diagnostic) => diagnostic.severity === 'error').length;
    if (format === 'text')
      err(
        errors > 0
          ? `${errors} error${errors === 1 ? '' : 's'}`
          : `${files.length} file${files.length === 1 ? '' : 's'} checked`,
      );
    return errors > 0 || problems.length > 0 ? EXIT.usage : EXIT.completed;
  },
};

interface Checked {
  readonly file: string;
  readonly source: string;
  readonly diagnostics: readonly Diagnostic[];
}

function filesAt(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
    return statSync(path, { throwIfNoEntry: false }) ? [path] : [];
  const patterns = ['**/*.workflow.{yaml,yml}', '**/*.prompt', '.stationmaster/agents/*.md'];
  const found = globSync(patterns, { cwd: path, exclude: (name) => name === 'node_modules' || name === '.git' });
  return found.sort().map((file) => join(path, file));
}

function diagnosticsOf(
  file: string,
  source: string,
  workspace: string,
  registry: StationRegistry,
): readonly Diagnostic[] {
  if (/\.prompt(\.md)?$/.test(file)) return checkPrompt(source, file).diagnostics;
  if (file.endsWith('.md')) return checkAgent(source).diagnostics;
  return checkWorkflow(source, new WorkspaceSurroundings(workspace, registry, { checkPrompt, stack: [file] }))
    .diagnostics;
}

function jsonLines({ file, source, diagnostics }: Checked): string[] {
  const index = new LineIndex(source);
  return diagnostics.map(({ code, severity, message, range }) => {
    return JSON.stringify({ file, ...index.place(range[0]), end: index.place(range[1]), severity, code, message });
  });
}

function sarif(results: readonly Checked[]): unknown {
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'stationmaster',
            rules: Object.entries(DIAGNOSTICS).map(([id, help]) => ({ id, shortDescription: { text: help } })),
          },
        },
        results: results.flatMap(({ file, source, diagnostics }) => {
          const index = new LineIndex(source);
          return diagnostics.map(({ code, severity, message, range }) => {
            const start = index.place(range[0]);
            const end = index.place(range[1]);
            const region = {
              startLine: start.line,
              startColumn: start.column,
              endLine: end.line,
              endColumn: end.column,
            };
            return {
              ruleId: code,
              level: severity,
              message: { text: message },
              locations: [{ physicalLocation: { artifactLocation: { uri: file.replaceAll('\\', '/') }, region } }],
            };
          });
        }),
      },
    ],
  };
}
