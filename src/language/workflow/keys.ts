import {
  boolean,
  count,
  duration,
  glob,
  type KeyTable,
  key,
  list,
  object,
  oneOrMany,
  path,
  template,
  text,
  type ValueSpec,
} from '../keys.ts';

const value: ValueSpec = { kind: 'any', expression: 'template' };
const branches = { branches: key(list(glob), 'Only these branches; globs.') };
const changedPaths = { paths: key(list(glob), 'Only when one of these files changed; globs.') };

/** A typed value that a person gives: an input of a workflow or a field of a question. */
export const FIELD_KEYS: KeyTable = {
  type: key(
    { kind: 'enum', values: ['string', 'integer', 'number', 'boolean', 'array', 'object'] },
    'The type of the value; `string` when absent.',
  ),
  description: key(text, 'What the value is for, shown where it is asked for.'),
  required: key(boolean, 'Whether a value must be given.'),
  default: key({ kind: 'any' }, 'The value when none is given.'),
  enum: key(list({ kind: 'scalar' }), 'The values that may be given.'),
  pattern: key(text, 'A regular expression that a text must match.'),
  min: key({ kind: 'number' }, 'The smallest number.'),
  max: key({ kind: 'number' }, 'The largest number.'),
};

export const TRIGGER_KEYS: KeyTable = {
  push: key(object({ ...branches, ...changedPaths }), 'A commit arrives on a branch.'),
  pull_request: key(object({ ...branches, ...changedPaths }), 'A pull request is opened or changed.'),
  issue: key(
    object({ labels: key(list(text), 'Only issues with one of these labels.') }),
    'An issue is opened or labelled.',
  ),
  schedule: key(
    object(
      {
        cron: key({ kind: 'text', format: 'cron' }, 'Minute, hour, day, month, weekday.'),
        timezone: key(
          { kind: 'text', format: 'time-zone' },
          'An IANA name such as `Europe/Zurich`; the machine’s own when absent.',
        ),
        missed: key(
          { kind: 'enum', values: ['skip', 'run_once', 'run_all'] },
          'What happens with times that passed while nothing ran.',
        ),
      },
      ['cron'],
    ),
    'At certain times.',
  ),
  file: key(
    object(
      {
        paths: key(list(glob), 'Files to watch; globs.'),
        debounce: key(duration, 'Wait until nothing changed for this long.'),
      },
      ['paths'],
    ),
    'A file in the workspace changes.',
  ),
};

export const HEAL_KEYS: KeyTable = {
  max_attempts_per_error: key({ kind: 'int', min: 1, max: 100 }, 'Fixes tried for one type of error (5).'),
  max_total_iterations: key({ kind: 'int', min: 1, max: 1000 }, 'Rounds in all (15).'),
  max_healing_time: key(duration, 'Time in all (5m).'),
  max_consecutive_failures: key({ kind: 'int', min: 1, max: 100 }, 'Rounds in a row without progress (3).'),
  apply: key(
    { kind: 'enum', values: ['ask', 'auto', 'never'] },
    'Whether a fix is applied at once, after a question, or only proposed.',
  ),
};

export const LAUNCH_READY_KEYS: KeyTable = {
  url: key(template, 'Ready when this address answers with a status below 400.'),
  port: key(
    { kind: 'either', say: 'a port or `${{ port }}`', options: [{ kind: 'int', min: 1, max: 65535 }, template] },
    'Ready when this port accepts connections.',
  ),
  log: key(text, 'Ready when a line of the log matches this regular expression.'),
  timeout: key(duration, 'Fails when not ready after this long (60s).'),
};

const ASK_KEYS: KeyTable = {
  question: key(template, 'What the person is asked.'),
  options: key(list(text), 'The answers to choose from.'),
  fields: key({ kind: 'map', keys: 'name', of: object(FIELD_KEYS) }, 'Values to fill in beside the answer.'),
  timeout: key(duration, 'How long to wait for an answer.'),
  on_timeout: key(text, 'The option taken when nobody answered; the step fails when absent.'),
};

/** What a step does. Exactly one of these keys. */
export const ACTION_KEYS = {
  run: key({ kind: 'text', expression: 'script' }, 'A shell script. It is literal: values reach it through `env`.'),
  python: key({ kind: 'text', expression: 'script' }, 'A Python script, or the path of a `.py` file.'),
  prompt: key(path, 'A prompt file that an agent, or a person, answers.'),
  ask: key(object(ASK_KEYS, ['question']), 'A question to a person.'),
  launch: key(
    { kind: 'text', expression: 'script' },
    'A command that keeps running: a service for the steps that depend on this one.',
  ),
  use: key({ kind: 'text', format: 'station' }, 'A station by name.'),
  workflow: key(path, 'Another workflow file, run as a part of this run.'),
  define: key(template, 'A workflow written by an earlier step: checked, then grafted into this run.'),
} satisfies KeyTable;

export type Action = keyof typeof ACTION_KEYS;

export const STEP_KEYS: KeyTable = {
  ...ACTION_KEYS,
  name: key(text, 'A name for people.'),
  description: key(text, 'What the step is for.'),
  depends_on: key(oneOrMany({ kind: 'text', format: 'step-id' }), 'Steps that must have ended before this one starts.'),
  when: key(
    { kind: 'either', say: 'a CEL expression', options: [boolean, { kind: 'text', expression: 'cel' }] },
    'Runs only when this CEL expression is true. Default: all it depends on completed. `always()`, `failure()`, `success()`.',
  ),
  for_each: key(
    { kind: 'either', say: 'a list or an expression that gives one', options: [list(value), template] },
    'One instance of the step for each item; `item` is the item.',
  ),
  with: key({ kind: 'map', keys: 'name', of: value }, 'Inputs of the station, prompt or workflow.'),
  env: key(
    {
      kind: 'map',
      keys: 'env',
      of: { kind: 'either', say: 'text, a number or an expression', options: [template, { kind: 'scalar' }] },
    },
    'Environment variables.',
  ),
  cwd: key(path, 'The folder to run in, relative to the workspace.'),
  shell: key(
    { kind: 'enum', values: ['sh', 'bash', 'pwsh', 'cmd'] },
    'The shell of `run` and `launch`; by platform when absent.',
  ),
  timeout: key(duration, 'The step is ended and fails after this long.'),
  retry: key(
    object({
      max_attempts: key({ kind: 'int', min: 1, max: 100 }, 'Attempts in all.'),
      backoff: key(
        { kind: 'enum', values: ['constant', 'linear', 'exponential'] },
        'How the delay grows (exponential).',
      ),
      delay: key(duration, 'The first delay (1s).'),
      on_exit_codes: key(list({ kind: 'int', min: 1, max: 255 }), 'Only for these exit codes.'),
    }),
    'Try again when the step fails.',
  ),
  allow_failure: key(boolean, 'Steps that depend on this one go on when it fails, and the run can complete.'),
  produces: key(
    { kind: 'map', keys: 'name', of: path },
    'Artifacts by name, and the files that hold them. One that is missing fails the step.',
  ),
  mount: key(
    { kind: 'map', keys: 'path', of: text },
    'Artifacts of earlier steps, written to files before the step starts: `path: step.product`.',
  ),
  reads: key(list(glob), 'The files that the step’s verdict depends on; globs.'),
  reuse: key(boolean, 'Skip the step when what it `reads` did not change.'),
  locks: key(oneOrMany(text), 'Steps that share a lock never run at the same time.'),
  review: key(boolean, 'Stops in `awaiting_review` until somebody continues.'),
  heal: key(
    { kind: 'either', say: 'true or the limits of healing', options: [boolean, object(HEAL_KEYS)] },
    'Find out why the step failed, fix it, and try again.',
  ),
  agent: key({ kind: 'text', format: 'agent' }, 'The agent that answers the prompt.'),
  requires: key(list(text), 'Capabilities that whoever does this must have.'),
  assigned_to: key({ kind: 'enum', values: ['human', 'agentic', 'functional'] }, 'Who does it.'),
  priority: key({ kind: 'int', min: -1000, max: 1000 }, 'Of the steps that are ready, the highest goes first (0).'),
  outputs: key(
    {
      kind: 'map',
      keys: 'name',
      of: { kind: 'either', say: 'a type or a description of the output', options: [text, object(FIELD_KEYS)] },
    },
    'Outputs that the step writes, by name.',
  ),
  ready: key(object(LAUNCH_READY_KEYS), 'When a launched service counts as ready.'),
  port: key(
    {
      kind: 'either',
      say: 'a port or `auto`',
      options: [
        { kind: 'int', min: 1, max: 65535 },
        { kind: 'enum', values: ['auto'] },
      ],
    },
    'The port of a launched service, as `PORT` and `${{ port }}`; `auto` takes a free one.',
  ),
};

/** Keys that mean something for some actions alone. */
export const KEYS_OF_ACTION: Readonly<Record<string, readonly Action[]>> = {
  shell: ['run', 'launch'],
  ready: ['launch'],
  port: ['launch'],
  agent: ['prompt'],
  with: ['prompt', 'use', 'workflow', 'define'],
  assigned_to: ['prompt', 'run', 'python', 'use'],
  cwd: ['run', 'python', 'launch', 'use'],
  produces: ['run', 'python', 'prompt', 'use'],
  mount: ['run', 'python', 'prompt', 'launch', 'use'],
  heal: ['run', 'launch', 'use'],
  outputs: ['run', 'python', 'prompt', 'use', 'workflow', 'define'],
};

export const WORKFLOW_KEYS: KeyTable = {
  name: key(text, 'A name for people.'),
  description: key(text, 'What the workflow is for.'),
  inputs: key({ kind: 'map', keys: 'id', of: object(FIELD_KEYS) }, 'Values asked for at the start.'),
  on: key(object(TRIGGER_KEYS), 'What starts the workflow by itself. Starting by hand is always possible.'),
  env: key(
    {
      kind: 'map',
      keys: 'env',
      of: { kind: 'either', say: 'text, a number or an expression', options: [template, { kind: 'scalar' }] },
    },
    'Environment variables of every step.',
  ),
  secrets: key(list({ kind: 'text', format: 'env-name' }), 'Names of secrets that steps may use; never values.'),
  limits: key(
    object({
      parallel: key({ kind: 'int', min: 1, max: 1024 }, 'Steps at the same time (the number of processors).'),
      time: key(duration, 'The run is cancelled and fails after this long.'),
      cost: key({ kind: 'text', format: 'money' }, 'The most that models may cost.'),
      tokens: key(count, 'The most tokens that models may use.'),
    }),
    'What a run may use.',
  ),
  concurrency: key(
    object(
      {
        group: key(template, 'Runs of the same group never run at the same time.'),
        on_conflict: key(
          { kind: 'enum', values: ['queue', 'reject', 'cancel_running'] },
          'What a second run of the group does (queue).',
        ),
      },
      ['group'],
    ),
    'Runs that must not overlap.',
  ),
  objectives: key(
    list(
      object(
        {
          name: key(text, 'What is to be reached.'),
          target: key({ kind: 'scalar' }, 'When it is reached.'),
          priority: key({ kind: 'enum', values: ['low', 'medium', 'high'] }, 'How much it matters.'),
          description: key(text, 'More about it.'),
        },
        ['name'],
      ),
    ),
    'What the workflow is to reach.',
  ),
  kpis: key(
    list(
      object(
        {
          name: key(text, 'What is measured.'),
          unit: key(text, 'Its unit.'),
          target: key({ kind: 'number' }, 'The value to reach.'),
          better: key({ kind: 'enum', values: ['lower', 'higher'] }, 'Which way is better.'),
          value: key(template, 'The value, when the run ends.'),
        },
        ['name', 'value'],
      ),
    ),
    'What is measured against a target.',
  ),
  steps: key({ kind: 'map', keys: 'id', of: object(STEP_KEYS) }, 'The steps, by id.'),
};
