import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEnd } from '../../protocol/runner.ts';
import { LogTail } from './log-tail.ts';
import { defaultShell, firstLine } from './shell.ts';
import { failed, type StationContext, type StationResult } from './station.ts';

/** `launch`: a command that keeps running. The step completes when the service is ready; the run ends it. */
export async function executeLaunch(context: StationContext): Promise<StationResult> {
  const { step } = context;
  const script = String(step.subject);
  const { port } = context;
  if (port !== undefined && !context.joins && (await accepts(port))) {
    return failed('port-in-use', `port ${port} is taken already (EADDRINUSE: address already in use :${port})`);
  }
  const env: Record<string, string> = port === undefined ? {} : { PORT: String(port) };
  let ended: JobEnd | undefined;
  const job = context.run({ kind: 'shell', shell: step.shell ?? defaultShell(), script }, { service: true, env });
  void job.then((end) => {
    ended = end;
  });
  const timeout = step.ready?.timeout ?? 60_000;
  const deadline = performance.now() + timeout;
  const probe = readiness(context, port);
  const started = performance.now();
  while (!ended) {
    if (await probe(performance.now() - started)) {
      if (ended) break;
      context.keepService(`${context.path}#${context.attempt}`, port);
      const url = step.ready?.url === undefined ? undefined : String(context.resolve(step.ready.url, { port }));
      return {
        kind: 'completed',
        outputs: { ...(port === undefined ? {} : { port }), ...(url === undefined ? {} : { url }) },
      };
    }
    if (context.signal.aborted) break;
    if (performance.now() > deadline) {
      return failed('not-ready', `\`${firstLine(script)}\` was not ready after ${timeout} ms`);
    }
    await sleep(50);
  }
  const end = ended ?? (await job);
  if (end.because === 'stopped') return { kind: 'cancelled' };
  if (end.because === 'not-started')
    return failed('not-started', `\`${firstLine(script)}\` could not be started: ${end.message ?? ''}`);
  return failed(
    'exited-early',
    `\`${firstLine(script)}\` ended with exit code ${end.code} before it was ready`,
    end.code,
  );
}

/** Whether the service is ready, asked again and again; given the milliseconds since it was started. */
function readiness(context: StationContext, port: number | undefined): (elapsed: number) => Promise<boolean> {
  const { ready } = context.step;
  if (ready?.url !== undefined) {
    const url = String(context.resolve(ready.url, { port }));
    return async () => {
      try {
        const response = await fetch(url, { signal: AbortSignal.any([AbortSignal.timeout(5_000), context.signal]) });
        await response.body?.cancel();
        return response.status < 400;
      } catch {
        return false;
      }
    };
  }
  if (ready?.log !== undefined) {
    const pattern = new RegExp(ready.log, 'm');
    const tail = new LogTail(context.log);
    return async () => pattern.test(tail.read());
  }
  const wanted = ready?.port === undefined ? port : Number(context.resolve(ready.port, { port }));
  if (wanted !== undefined) return () => accepts(wanted);
  // Nothing says when it is ready: one second without ending counts.
  return async (elapsed) => elapsed > 1_000;
}

/** Whether something accepts connections on a port of this machine. */
export function accepts(port: number): Promise<boolean> {
  const one = (host: string) =>
    new Promise<boolean>((resolve) => {
      const socket = createConnection({ port, host });
      socket.setTimeout(1_000, () => socket.destroy());
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
      socket.on('close', () => resolve(false));
    });
  return Promise.all([one('127.0.0.1'), one('::1')]).then((results) => results.some(Boolean));
}

/** A port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port is free')),
      );
    });
  });
}
