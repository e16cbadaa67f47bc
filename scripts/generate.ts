import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AGENT_KEYS } from '../src/language/agent/agent.ts';
import { DIAGNOSTICS } from '../src/language/diagnostics.ts';
import { jsonSchemaOf } from '../src/language/json-schema.ts';
import { PROMPT_KEYS } from '../src/language/prompt/keys.ts';
import { WORKFLOW_KEYS } from '../src/language/workflow/keys.ts';

/* Writes what follows from the tables in src/language; `--check` only compares. */
const root = join(import.meta.dirname, '..');

export function generatedFiles(): Record<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    'schemas/workflow.schema.json': json(jsonSchemaOf('Stationmaster workflow', WORKFLOW_KEYS, ['steps'])),
    'schemas/prompt.schema.json': json(jsonSchemaOf('Stationmaster prompt (front matter)', PROMPT_KEYS)),
    'schemas/agent.schema.json': json(
      jsonSchemaOf('Stationmaster agent (front matter)', AGENT_KEYS, ['name', 'description']),
    ),
    'docs/diagnostics.md': diagnosticsPage(),
  };
}

function diagnosticsPage(): string {
  const entries = Object.entries(DIAGNOSTICS).map(([code, text]) => `## ${code}\n\n${text}\n`);
  return `# Diagnostics

Every code that \`stationmaster check\` and the editor can show. A code never changes its meaning. One line is excused with
\`# stationmaster-disable-line CODE\`, a file with \`# stationmaster-disable CODE\`.

This page is generated from \`src/language/diagnostics.ts\` by \`npm run generate\`.

${entries.join('\n')}`;
}

if (import.meta.main) {
  const checkOnly = process.argv.includes('--check');
  for (const [path, text] of Object.entries(generatedFiles())) {
    const file = join(root, path);
    if (checkOnly) {
      if (readFileSync(file, 'utf8') === text) continue;
      console.error(`${path} is out of date; run \`npm run generate\``);
      process.exitCode = 1;
    } else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }
}
