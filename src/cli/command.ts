import type { ParseArgsOptionsConfig } from 'node:util';
import type { RunnerProcess } from '../engine/node/runner-process.ts';

export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Invocation {
  readonly positionals: readonly string[];
  readonly values: Values;
  /** Absolute. */
  readonly workspace: string;
  /** A runner that was started before this code was loaded. */
  readonly prepared?: RunnerProcess;
}

/** One command of the command line. */
export interface Command {
  readonly summary: string;
  /** After `stationmaster NAME`. */
  readonly usage: string;
  /** What a person may want to know, with examples. */
  readonly details: string;
  readonly options: ParseArgsOptionsConfig;
  /** A sentence for each option. */
  readonly optionHelp: Readonly<Record<string, string>>;
  readonly positionals: readonly [least: number, most: number];
  /** Runs it; gives the exit code. */
  run(invocation: Invocation): Promise<number>;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function flag(values: Values, name: string): boolean {
  return values[name] === true;
}

export function texts(values: Values, name: string): string[] {
  const value = values[name];
  return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
}
