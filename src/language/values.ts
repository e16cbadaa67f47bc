import { Cron } from 'croner';

/** Milliseconds of `500ms 30s 5m 24h 7d`, or undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) return undefined;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2]!]!;
  const value = Number(match[1]) * unit;
  // Timers hold 2^31 ms; longer waits are split by the clock, but a century is a typing error.
  return value <= 3_153_600_000_000 ? Math.round(value) : undefined;
}

/** `90s` → `1m 30s`; at most two units, for people. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${Math.round(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

/** Bytes of `512B 64KB 10MB 2GB` (powers of 1,000; KiB, MiB and GiB are powers of 1,024). */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(text.trim());
  if (!match) return undefined;
  const unit = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[match[2]!]!;
  return Math.round(Number(match[1]) * unit);
}

export interface Money {
  readonly amount: number;
  readonly currency: string;
}

/** `5 USD` or `0.25 EUR`. */
export function parseMoney(text: string): Money | undefined {
  const match = /^(\d+(?:\.\d{1,4})?)\s*([A-Z]{3})$/.exec(text.trim());
  return match ? { amount: Number(match[1]), currency: match[2]! } : undefined;
}

/** `2M`, `500k`, `1200`. */
export function parseCount(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isSafeInteger(text) && text >= 0 ? text : undefined;
  const match = /^(\d+(?:\.\d+)?)\s*(k|M)?$/.exec(text.trim());
  if (!match) return undefined;
  const value = Number(match[1]) * (match[2] === 'M' ? 1e6 : match[2] === 'k' ? 1e3 : 1);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Why the text is no cron expression of five fields, or undefined when it is one. */
export function cronProblem(text: string): string | undefined {
  if (text.trim().split(/\s+/).length !== 5) return 'a cron expression has five fields: minute hour day month weekday';
  try {
    new Cron(text, { paused: true });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
  }
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Why the text is no glob, or undefined when it is one. */
export function globProblem(text: string): string | undefined {
  if (text.trim() === '') return 'an empty glob matches nothing';
  const open: string[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '\\') i++;
    else if (character === '[' || character === '{' || character === '(') open.push(character);
    else if (character === ']' || character === '}' || character === ')') {
      const wanted = { ']': '[', '}': '{', ')': '(' }[character];
      if (open.pop() !== wanted) return `"${character}" closes nothing`;
    }
  }
  return open.length > 0 ? `"${open[open.length - 1]}" is never closed` : undefined;
}

/** Why the text is no path inside the workspace, or undefined when it is one. */
export function pathProblem(text: string): string | undefined {
  if (text === '') return 'the path is empty';
  if (text.includes('\0')) return 'the path holds a NUL character';
  if (text.startsWith('/') || text.startsWith('\\') || /^[A-Za-z]:/.test(text)) return 'the path is absolute';
  let depth = 0;
  for (const part of text.split(/[\\/]/)) {
    if (part === '..') depth--;
    else if (part !== '.' && part !== '') depth++;
    if (depth < 0) return 'the path leaves the workspace';
  }
  return undefined;
}
