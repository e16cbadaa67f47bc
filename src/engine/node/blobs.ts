import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Content-addressed files under `.stationmaster/blobs/`: written once, never changed. */
export class Blobs {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  path(sha256: string): string {
    return join(this.folder, sha256.slice(0, 2), sha256);
  }

  has(sha256: string): boolean {
    return existsSync(this.path(sha256));
  }

  /** Stores a text, flushed to disk. Returns its address. */
  putText(text: string): string {
    const content = Buffer.from(text);
    const sha256 = createHash('sha256').update(content).digest('hex');
    if (!this.has(sha256)) {
      const temporary = this.temporary();
      const file = openSync(temporary, 'wx');
      try {
        writeSync(file, content);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      this.settle(temporary, sha256);
    }
    return sha256;
  }

  /** Stores a copy of a file without reading it into memory. Returns its address. */
  async putFile(file: string): Promise<string> {
    const temporary = this.temporary();
    try {
      await copyFile(file, temporary);
      const sha256 = await this.addressOf(temporary);
      if (this.has(sha256)) rmSync(temporary);
      else this.settle(temporary, sha256);
      return sha256;
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** The address that a file's content has or would have. Stores nothing. */
  async addressOf(file: string): Promise<string> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    return hash.digest('hex');
  }

  /** @throws Error when the blob is gone */
  text(sha256: string): string {
    return readFileSync(this.path(sha256), 'utf8');
  }

  private temporary(): string {
    mkdirSync(this.folder, { recursive: true });
    return join(this.folder, `incoming-${randomBytes(6).toString('hex')}`);
  }

  private settle(temporary: string, sha256: string): void {
    mkdirSync(join(this.folder, sha256.slice(0, 2)), { recursive: true });
    renameSync(temporary, this.path(sha256));
  }
}
