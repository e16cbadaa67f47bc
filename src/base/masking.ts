/**
 * Every form in which a secret could show: as it is, in base64 (at each of the three alignments), URL-encoded and inside
 * JSON text. Longest first, so that no form hides a longer one.
 */
export function secretForms(secrets: readonly string[]): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    // Masking a letter or two would make logs useless and hide nothing.
    if (secret.length < 3) continue;
    for (const line of [secret, ...secret.split(/\r?\n/).filter((part) => part.length >= 8)]) forms.add(line);
    forms.add(encodeURIComponent(secret));
    forms.add(JSON.stringify(secret).slice(1, -1));
    for (const base64 of base64Forms(secret)) forms.add(base64);
  }
  forms.delete('');
  return [...forms].sort((a, b) => b.length - a.length);
}

function base64Forms(secret: string): string[] {
  const bytes = utf8(secret);
  const found: string[] = [];
  for (let lead = 0; lead < 3; lead++) {
    const padded = [...new Array<number>(lead).fill(0), ...bytes];
    // Characters that depend on what stands before or after the secret are left out.
    const start = lead === 0 ? 0 : lead + 1;
    const end = Math.floor((padded.length * 8) / 6);
    const text = encodeBase64(padded).slice(start, end);
    if (text.length >= 4) found.push(text, text.replaceAll('+', '-').replaceAll('/', '_'));
  }
  const whole = encodeBase64(bytes);
  return [whole, ...found];
}

function utf8(text: string): number[] {
  const bytes: number[] = [];
  for (const match of encodeURIComponent(text).matchAll(/%([0-9A-F]{2})|(.)/gs)) {
    bytes.push(match[1] === undefined ? match[2]!.charCodeAt(0) : Number.parseInt(match[1], 16));
  }
  return bytes;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function encodeBase64(bytes: readonly number[]): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i]!, bytes[i + 1], bytes[i + 2]];
    const word = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    text += ALPHABET[word >> 18]! + ALPHABET[(word >> 12) & 63]!;
    text += b === undefined ? '=' : ALPHABET[(word >> 6) & 63]!;
    text += c === undefined ? '=' : ALPHABET[word & 63]!;
  }
  return text;
}

/** Replaces secrets in a stream of text that comes in pieces. A secret cut by a border between pieces is found all the same. */
export class Masker {
  private readonly forms: readonly string[];
  private readonly pattern: RegExp | undefined;
  private readonly longest: number;
  private held = '';

  constructor(secrets: readonly string[]) {
    this.forms = secretForms(secrets);
    this.longest = this.forms[0]?.length ?? 0;
    const alternatives = this.forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|');
    this.pattern = alternatives === '' ? undefined : new RegExp(alternatives, 'g');
  }

  /** The text that is safe to pass on; the rest is held back until more comes. */
  push(text: string): string {
    if (!this.pattern) return text;
    const all = this.held + text;
    let safe = Math.max(0, all.length - this.longest + 1);
    // A form that begins before the border and ends after it belongs to this piece as a whole.
    for (const match of all.matchAll(this.pattern)) {
      if (match.index < safe && match.index + match[0].length > safe) safe = match.index + match[0].length;
    }
    this.held = all.slice(safe);
    return all.slice(0, safe).replace(this.pattern, '***');
  }

  flush(): string {
    const rest = this.mask(this.held);
    this.held = '';
    return rest;
  }

  /** A whole text at once. */
  mask(text: string): string {
    return this.pattern ? text.replace(this.pattern, '***') : text;
  }

  /** Whether the text holds a secret in any form. */
  finds(text: string): boolean {
    return this.forms.some((form) => text.includes(form));
  }
}
