import type { Diagnostic } from '../diagnostics.ts';
import { Problems } from '../diagnostics.ts';
import { readFrontMatter } from '../front-matter.ts';
import { glob, type KeyTable, key, list, text } from '../keys.ts';
import { toJson, valueAt } from '../located.ts';
import { checkKeys } from '../shape.ts';

export const AGENT_KEYS: KeyTable = {
  name: key(text, 'The agent’s name; steps name it in `agent`.'),
  description: key(text, 'What the agent is good at.'),
  capabilities: key(list(text), 'What it can do; compared with what a step `requires`.'),
  model: key(text, 'The model it uses.'),
  tools: key(list(text), 'Tools it may use.'),
  write_scope: key(list(glob), 'Files it may change; globs.'),
  max_concurrent: key({ kind: 'int', min: 1, max: 64 }, 'Work orders at the same time.'),
};

export interface AgentCheck {
  readonly diagnostics: readonly Diagnostic[];
  readonly name: string | undefined;
  readonly systemPrompt: string;
}

/** Checks the text of an agent file. Never throws. */
export function checkAgent(source: string): AgentCheck {
  const problems = new Problems();
  const { front, body, bodyStart, head } = readFrontMatter(source, problems);
  if (front?.kind === 'map') checkKeys(front.entries, AGENT_KEYS, problems, 'an agent');
  else if (problems.list.length === 0) {
    problems.error(
      'prompt-front-matter',
      head,
      'an agent file begins with front matter: `name` and `description` between two lines of `---`',
    );
  }
  if (front?.kind === 'map') {
    for (const required of ['name', 'description']) {
      if (valueAt(front, required) === undefined) {
        problems.error('missing-key', head, `an agent needs "${required}": ${AGENT_KEYS[required]!.description}`);
      }
    }
    if (body.trim() === '') {
      problems.error(
        'missing-key',
        [Math.max(0, bodyStart - 1), bodyStart],
        'the body is empty; it is the agent’s system prompt',
      );
    }
  }
  const name = valueAt(front, 'name');
  return {
    diagnostics: problems.finish(source),
    name: name ? String(toJson(name)) : undefined,
    systemPrompt: body.trim(),
  };
}
