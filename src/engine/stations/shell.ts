import type { ShellName } from '../../protocol/runner.ts';
import { resultOfJob, type StationContext, type StationResult } from './station.ts';

export function defaultShell(): ShellName {
  return process.platform === 'win32' ? 'pwsh' : 'sh';
}

/** `run`: a shell script. */
export async function executeShell(context: StationContext): Promise<StationResult> {
  const shell = context.step.shell ?? defaultShell();
  const script = String(context.step.subject);
  const end = await context.run({ kind: 'shell', shell, script });
  return resultOfJob(end, `\`${firstLine(script)}\``, context.step.timeout);
}

export function firstLine(script: string): string {
  const [line = ''] = script.trim().split('\n');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
