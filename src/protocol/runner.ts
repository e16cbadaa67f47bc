/**
 * Messages between a host and its runner, one JSON text a line. The runner executes jobs and knows nothing of workflows;
 * a runner on another machine will speak the same.
 */
export type ShellName = 'sh' | 'bash' | 'pwsh' | 'cmd';

export interface Job {
  readonly command:
    | { readonly kind: 'shell'; readonly shell: ShellName; readonly script: string }
    | { readonly kind: 'exec'; readonly file: string; readonly args: readonly string[] };
  /** Absolute. */
  readonly cwd: string;
  /** Added to the environment of the runner. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path of the log. Its folder exists. */
  readonly log: string;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Milliseconds between TERM and KILL. */
  readonly grace: number;
  /** Values to be masked before anything reaches the log. They live in memory alone. */
  readonly secrets?: readonly string[];
  /** Whatever the host wants to hear again with the job's end, also when it is another host by then. */
  readonly note?: string;
  /** A service: never on a warm shell, and it takes no slot. */
  readonly service?: boolean;
}

export interface JobEnd {
  /** The exit code; 128 + n for a death by signal n, as a shell would say. */
  readonly code: number;
  readonly because: 'exit' | 'timeout' | 'stopped' | 'not-started' | 'runner-lost';
  readonly message?: string;
  readonly note?: string;
}

export type ToRunner =
  | { readonly type: 'hello'; readonly token: string }
  | {
      readonly type: 'configure';
      readonly unset: readonly string[];
      readonly cwd: string;
      readonly warm: number;
      /** Jobs at the same time, services left out; what comes beyond waits in line. */
      readonly slots: number;
      readonly results: string;
      /** A file in which processes are recorded by pid and start time. */
      readonly record: string;
      readonly orphanGrace: number;
    }
  | { readonly type: 'start'; readonly id: string; readonly job: Job }
  | { readonly type: 'stop'; readonly id: string; readonly force: boolean }
  | { readonly type: 'acknowledge'; readonly ids: readonly string[] }
  | { readonly type: 'shutdown' };

export interface RunningJob {
  readonly id: string;
  readonly note?: string;
}

export type FromRunner =
  | { readonly type: 'welcome'; readonly running: readonly RunningJob[] }
  | { readonly type: 'ended'; readonly id: string; readonly end: JobEnd };

/** Splits a stream of bytes into lines of JSON. */
export class MessageReader<Message> {
  private rest = '';
  private readonly receive: (message: Message) => void;

  constructor(receive: (message: Message) => void) {
    this.receive = receive;
  }

  read(chunk: string): void {
    const text = this.rest + chunk;
    let from = 0;
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', from)) {
      if (at > from) this.receive(JSON.parse(text.slice(from, at)) as Message);
      from = at + 1;
    }
    this.rest = text.slice(from);
  }
}
