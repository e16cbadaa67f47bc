import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Reads a log while it is written: each call gives what was added since the last. */
export class LogTail {
  private readonly file: string;
  private position = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** At most 1 MB a call, so that a fast log cannot fill the memory. */
  read(): string {
    const bytes = this.readBytes();
    return bytes.toString('utf8');
  }

  readBytes(most = 1_000_000): Buffer {
    const chunk = readPart(this.file, this.position, most);
    this.position += chunk.length;
    return chunk;
  }
}

function readPart(file: string, position: number, most: number): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const size = fstatSync(descriptor).size;
    const length = Math.max(0, Math.min(most, size - position));
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
  } finally {
    closeSync(descriptor);
  }
}

/** The end of a log: at most `most` bytes, without escape sequences. */
export function lastPart(file: string, most = 200_000): string {
  try {
    const descriptor = openSync(file, 'r');
    const { size } = fstatSync(descriptor);
    closeSync(descriptor);
    return stripAnsi(readPart(file, Math.max(0, size - most), most).toString('utf8'));
  } catch {
    return '';
  }
}

export function stripAnsi(text: string): string {
  return text.replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07/g, '');
}
