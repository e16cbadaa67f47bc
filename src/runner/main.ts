import { appendFileSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { type FromRunner, type JobEnd, MessageReader, type ToRunner } from '../protocol/runner.ts';
import { Executor } from './executor.ts';

/*
 * A runner executes the jobs of one run. The host that started it talks over standard input and output. When that host
 * goes away without a word, jobs go on for a grace period in which another host can connect to the socket and take over;
 * then they are ended. The ends of jobs that no host acknowledged are kept, and written to a file once nobody listens,
 * so that a finished step is never executed again (invariant 6).
 */
const [socketPath = '', token = ''] = process.argv.slice(2);

type Reply = (...messages: FromRunner[]) => void;

/** With so few jobs in line, the next word from the host matters. */
const FEW = 4;

class Runner {
  private executor: Executor | undefined;
  private reply: Reply | undefined;
  private readonly unacknowledged = new Map<string, JobEnd>();
  private results = '';
  private orphanGrace = 30_000;
  private orphanTimer: NodeJS.Timeout | undefined;
  private written = new Set<string>();
  private readonly outbox: FromRunner[] = [];
  private postTimer: NodeJS.Timeout | undefined;

  attach(reply: Reply): void {
    clearTimeout(this.orphanTimer);
    this.orphanTimer = undefined;
    this.reply = reply;
  }

  welcome(): void {
    this.reply?.({ type: 'welcome', running: this.executor?.jobs() ?? [] });
    for (const [id, end] of this.unacknowledged) this.reply?.({ type: 'ended', id, end });
  }

  orphaned(reply: Reply): void {
    if (this.reply !== reply) return;
    this.reply = undefined;
    // What was not sent is not acknowledged either, and is told to whoever comes next.
    this.outbox.length = 0;
    if (!this.executor) this.exit();
    this.writeResults();
    // Nothing runs and everything is told: nobody needs us.
    if (this.executor!.jobs().length === 0) this.exit();
    this.orphanTimer = setTimeout(() => this.exit(), this.orphanGrace);
  }

  receive(message: ToRunner): void {
    switch (message.type) {
      case 'configure': {
        this.results = message.results;
        this.orphanGrace = message.orphanGrace;
        const env = { ...process.env };
        for (const name of [...message.unset, 'OLDPWD', 'STATIONMASTER_RUNNER']) delete env[name];
        env['PWD'] = message.cwd;
        this.executor ??= new Executor({
          env,
          cwd: message.cwd,
          warm: message.warm,
          slots: message.slots,
          record: message.record,
          send: (sent) => this.send(sent),
        });
        return;
      }
      case 'start':
        this.executor?.start(message.id, message.job);
        return;
      case 'stop':
        this.executor?.stop(message.id, message.force);
        return;
      case 'acknowledge':
        for (const id of message.ids) this.unacknowledged.delete(id);
        return;
      case 'shutdown':
        this.exit();
        return;
      case 'hello':
    }
  }

  exit(): never {
    this.executor?.close();
    rmSync(socketPath, { force: true });
    process.exit(0);
  }

  private send(message: FromRunner): void {
    if (message.type === 'ended') this.unacknowledged.set(message.id, message.end);
    if (this.reply) {
      this.outbox.push(message);
      // While enough jobs stand in line nobody waits for this message, and the host is spared a wake-up for each.
      if (this.executor!.waiting > FEW) this.postTimer ??= setTimeout(() => this.post(), 2);
      else this.post();
    } else {
      this.writeResults();
      if (this.executor!.jobs().length === 0) this.exit();
    }
  }

  private post(): void {
    clearTimeout(this.postTimer);
    this.postTimer = undefined;
    const messages = this.outbox.splice(0);
    if (messages.length > 0) this.reply?.(...messages);
  }

  private writeResults(): void {
    let text = '';
    for (const [id, end] of this.unacknowledged) {
      if (this.written.has(id)) continue;
      this.written.add(id);
      text += `${JSON.stringify({ id, end })}\n`;
    }
    if (text !== '' && this.results !== '') appendFileSync(this.results, text, { flush: true });
  }
}

const runner = new Runner();

// The host that started us.
const linesOf = (messages: readonly FromRunner[]) => messages.map((message) => `${JSON.stringify(message)}\n`).join('');
const overPipes: Reply = (...messages) => {
  process.stdout.write(linesOf(messages));
};
runner.attach(overPipes);
const reader = new MessageReader<ToRunner>((message) => runner.receive(message));
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk: string) => reader.read(chunk));
process.stdin.on('end', () => runner.orphaned(overPipes));
process.stdin.on('error', () => runner.orphaned(overPipes));
process.stdout.on('error', () => runner.orphaned(overPipes));

// A host that takes over.
const server = createServer((socket: Socket) => {
  let known = false;
  const overSocket: Reply = (...messages) => {
    socket.write(linesOf(messages));
  };
  const messages = new MessageReader<ToRunner>((message) => {
    if (known) return runner.receive(message);
    if (message.type !== 'hello' || message.token !== token) return void socket.destroy();
    known = true;
    runner.attach(overSocket);
    runner.welcome();
  });
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    try {
      messages.read(chunk);
    } catch {
      socket.destroy();
    }
  });
  socket.on('close', () => known && runner.orphaned(overSocket));
  socket.on('error', () => socket.destroy());
});
server.on('error', (error) => process.stderr.write(`stationmaster runner: ${error.message}\n`));
server.listen(socketPath);
// A signal to the host's group, such as Ctrl-C at a terminal, is the host's to handle.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
