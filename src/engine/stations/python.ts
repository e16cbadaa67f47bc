import { firstLine } from './shell.ts';
import { resultOfJob, type StationContext, type StationResult } from './station.ts';

/** `python`: a script, or the path of a `.py` file. */
export async function executePython(context: StationContext): Promise<StationResult> {
  const source = String(context.step.subject);
  const isFile = /^[^\n]+\.py\s*$/.test(source);
  const file = process.platform === 'win32' ? 'python' : 'python3';
  const args = isFile ? ['-u', source.trim()] : ['-u', '-c', source];
  const end = await context.run({ kind: 'exec', file, args });
  return resultOfJob(end, isFile ? source.trim() : `python \`${firstLine(source)}\``, context.step.timeout);
}
