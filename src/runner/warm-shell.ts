import { type ChildProcess, spawn } from 'node:child_process';
import type { Job } from '../protocol/runner.ts';
import { quote } from './quote.ts';

/**
 * A shell that is loaded already and forks a subshell for each script it is given, one at a time. It leads a process
 * group of its own, which the script shares: ending the group ends the script and everything it started, and the shell
 * with it, which is then replaced.
 *
 * The shell reads compound commands from its standard input and writes the exit code of each to its standard output.
 * Inside the subshell, standard input, output and error are replaced before the script runs, so the script sees exactly
 * the descriptors 0, 1 and 2. `-e` is set, as for every script of a step.
 */
export class WarmShell {
  readonly pid: number;
  private readonly child: ChildProcess;
  private finish: ((code: number) => void) | undefined;
  private dead = false;

  constructor(shell: string, cwd: string, env: NodeJS.ProcessEnv, onDeath: (shell: WarmShell) => void) {
    this.child = spawn(shell, [], { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    this.pid = this.child.pid ?? -1;
    const died = () => {
      if (this.dead) return;
      this.dead = true;
      onDeath(this);
      this.settle(137);
    };
    this.child.on('error', died);
    this.child.on('exit', died);
    this.child.stdin!.on('error', died);
    this.child.stdout!.setEncoding('latin1');
    let text = '';
    this.child.stdout!.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end === -1) return;
      const code = Number(text.slice(0, end));
      text = text.slice(end + 1);
      this.settle(code);
    });
    // TERM to the group reaches the script alone; traps of the parent are not inherited by its subshells.
    this.child.stdin!.write('trap : TERM INT HUP\n');
  }

  get alive(): boolean {
    return !this.dead;
  }

  get busy(): boolean {
    return this.finish !== undefined;
  }

  /** Runs a script; one at a time. Calls back with its exit code, 128 + n when a signal ended it. */
  run(job: Job & { command: { kind: 'shell' } }, cwd: string, done: (code: number) => void): void {
    this.finish = done;
    const move = job.cwd === cwd ? '' : `cd ${quote(job.cwd)} || exit 126;unset OLDPWD;`;
    let env = '';
    for (const name in job.env) env += ` ${name}=${quote(job.env[name]!)}`;
    const exported = env === '' ? '' : `export${env};`;
    const line = `(exec </dev/null >${quote(job.log)} 2>&1;${move}${exported}set -e;eval ${quote(job.command.script)}\n);echo $?\n`;
    this.child.stdin!.write(line);
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The group is gone.
    }
  }

  private settle(code: number): void {
    const { finish } = this;
    this.finish = undefined;
    finish?.(code);
  }
}
