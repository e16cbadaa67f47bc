/** A half-open range of UTF-16 offsets into one text. */
export type Range = readonly [start: number, end: number];

export interface RelatedPlace {
  readonly message: string;
  readonly range: Range;
  /** Absent when the place is in the same text. */
  readonly file?: string;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: 'error' | 'warning';
  /** What is wrong and what to do about it. */
  readonly message: string;
  readonly range: Range;
  readonly related?: readonly RelatedPlace[];
}

/**
 * Every diagnostic there is. A code is stable: it is never reused for something else. The text is the entry in
 * docs/diagnostics.md, which is generated from this table.
 */
export const DIAGNOSTICS = {
  'yaml-syntax': 'The text is not YAML. The rest of the file is still checked as far as it can be read.',
  'yaml-alias': 'An alias names no anchor before it, or a merge (`<<`) does not point to a mapping.',
  'yaml-duplicate-key':
    'A mapping holds the same key twice; for steps and inputs, that is a duplicate id. Remove one: which one counts is not something to guess.',
  'yaml-key': 'A key is not plain text.',
  'too-large': 'The file is beyond a limit: 8 MB of text, 20,000 steps, 100 levels, 100,000 nodes through aliases.',
  'unknown-key': 'This key does not exist here. The message names the nearest one that does.',
  'missing-key': 'A key that must be there is not.',
  'wrong-type': 'The value has another type than the key takes.',
  'wrong-value': 'The value is not one of those that the key takes.',
  'no-action':
    'A step has exactly one action: run, python, prompt, ask, launch, use, workflow or define. This one has none.',
  'two-actions': 'A step has exactly one action. Split this one into two steps.',
  'key-not-for-action': 'The key means nothing for this kind of step, for example `ready` without `launch`.',
  'bad-id': 'Ids are lower case letters, digits and underscores, starting with a letter: `[a-z][a-z0-9_]*`.',
  'unknown-step': 'No step has this id.',
  cycle: 'Steps wait for each other in a circle. The message shows the whole path; remove one of its edges.',
  'self-dependency': 'A step depends on itself.',
  'duplicate-dependency': 'The same step is named twice in `depends_on`.',
  'expression-syntax': 'The text between `${{` and `}}`, or of a `when`, is not a CEL expression.',
  'expression-type': 'The expression is well formed but its types do not fit.',
  'expression-unclosed': 'A `${{` has no `}}`.',
  'unknown-name': 'The expression names something that is not in scope here.',
  'unknown-input': 'The workflow declares no input of this name.',
  'unknown-output': 'The step declares or is known to have no output of this name.',
  'unknown-artifact': 'The step produces nothing of this name.',
  'not-upstream': 'An expression may refer only to steps that this one depends on, directly or not.',
  'no-expression-here': 'This value is fixed when the workflow is planned; an expression cannot be used here.',
  'expression-in-script':
    'Scripts are literal. Put the expression into `env` and use the variable: text from inputs, issues or models can then never become code.',
  'bad-duration': 'Durations are a number and a unit: `500ms`, `30s`, `5m`, `24h`, `7d`.',
  'bad-money': 'Money is an amount and a currency: `5 USD`.',
  'bad-count': 'Counts are a whole number, with k or M where wanted: `500k`, `2M`.',
  'bad-cron': 'The text is not a cron expression of five fields.',
  'bad-glob': 'The text is not a glob: a bracket or brace is open, or it is empty.',
  'bad-time-zone': 'No time zone has this name. Use one of the IANA database, such as `Europe/Zurich`.',
  'bad-env-name': 'Names of environment variables are letters, digits and underscores, and do not start with a digit.',
  'reserved-env-name': 'Names that begin with STATIONMASTER_ are set by the runner.',
  'undeclared-secret': 'The secret is not listed under `secrets`.',
  'secret-outside-env': 'Secrets may be used in `env` alone, so that they can be masked exactly.',
  'unknown-station': 'No station has this name. The message names the nearest one.',
  'missing-with': 'The station, prompt or workflow needs an input that `with` does not give.',
  'extra-with': 'The station, prompt or workflow has no input of this name.',
  'wrong-with': 'The input has another type than the station, prompt or workflow asks for.',
  'missing-file': 'The file does not exist.',
  'invalid-file': 'The file that the step uses has errors of its own; open it.',
  'recursive-workflow': 'A workflow contains itself, directly or through others.',
  'unknown-agent': 'No agent has this name, built in or in `.stationmaster/agents/`.',
  'product-collision': 'Two products of a step, or of steps that may run at the same time, are the same file.',
  'mount-collision': 'A file is mounted twice, or mounted where a product of the same step is written.',
  'bad-path': 'Paths are relative to the workspace and stay inside it.',
  'bad-mount': 'A mount is `path: step.product`.',
  'never-runs': 'The step can never run: its `when` is always false, or it waits for one that can never run.',
  'prompt-front-matter': 'A prompt or agent file begins with front matter between two lines of `---`.',
  'template-syntax': 'The text is not a Handlebars template.',
  'unknown-variable': 'The template uses a variable that the schema does not have.',
  'unused-variable': 'The schema has a property that the template never uses.',
  'unknown-helper': 'No helper has this name.',
  'bad-schema': 'The value is neither JSON Schema nor Picoschema.',
  'empty-workflow': 'A workflow without steps does nothing.',
} as const;

export type DiagnosticCode = keyof typeof DIAGNOSTICS;

/** Collects what is wrong with one text. Checking goes on after every report. */
export class Problems {
  readonly list: Diagnostic[] = [];

  error(code: DiagnosticCode, range: Range, message: string, related?: readonly RelatedPlace[]): void {
    this.list.push({ code, severity: 'error', message, range, ...(related ? { related } : {}) });
  }

  warning(code: DiagnosticCode, range: Range, message: string, related?: readonly RelatedPlace[]): void {
    this.list.push({ code, severity: 'warning', message, range, ...(related ? { related } : {}) });
  }

  /** All problems in the order of the text, those that a person switched off with a comment left out. */
  finish(text: string): Diagnostic[] {
    const switchedOff = suppressions(text);
    const kept = this.list.filter((problem) => !switchedOff(problem));
    return kept.sort((a, b) => a.range[0] - b.range[0] || a.range[1] - b.range[1]);
  }
}

/**
 * `# stationmaster-disable-line code` switches a diagnostic off for its line, `# stationmaster-disable code` for the
 * file. Several codes are separated by blanks.
 */
function suppressions(text: string): (problem: Diagnostic) => boolean {
  if (!text.includes('# stationmaster-disable')) return () => false;
  const wholeFile = new Set<string>();
  const lines: { start: number; end: number; codes: Set<string> }[] = [];
  for (const match of text.matchAll(/# stationmaster-disable(-line)?[ \t]+([a-z0-9 \t-]+)/g)) {
    const codes = match[2]!.trim().split(/\s+/);
    if (match[1] === undefined) {
      for (const code of codes) wholeFile.add(code);
      continue;
    }
    const start = text.lastIndexOf('\n', match.index) + 1;
    const next = text.indexOf('\n', match.index);
    lines.push({ start, end: next === -1 ? text.length : next, codes: new Set(codes) });
  }
  return ({ code, range }) =>
    wholeFile.has(code) || lines.some((line) => line.codes.has(code) && range[0] <= line.end && range[1] >= line.start);
}
