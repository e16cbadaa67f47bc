import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { fail, messageOf, ok, type Result } from '../../base/result.ts';
import type { RecordedEvent } from '../core/events.ts';
import type { RunStatus } from '../core/state.ts';
import type { Wish } from '../core/wishes.ts';
import { APPLICATION_ID, MIGRATIONS } from './schema.ts';

export interface RunRow {
  readonly id: string;
  readonly name: string;
  /** The workflow file, relative to the workspace. */
  readonly file: string;
  /** Address of the plan's blob: the SHA-256 of its canonical text, which is the plan's hash. */
  readonly plan: string;
  readonly status: RunStatus;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly message: string | null;
  readonly questions: number;
}

export interface RunnerRow {
  readonly socket: string;
  readonly run: string;
  readonly pid: number;
  readonly startTime: string;
  readonly token: string;
}

/** What a list of runs shows; kept beside the journal in the same transaction, never instead of it. */
export interface RunSummary {
  readonly status: RunStatus;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly message?: string;
  readonly questions: number;
}

export type StoreProblem = 'store-damaged' | 'store-newer' | 'store-unwritable';

const COLUMNS =
  'id, name, file, plan, status, created_at AS createdAt, started_at AS startedAt, finished_at AS finishedAt, message, questions';

/** Milliseconds that a lease lives without a heartbeat. */
export const LEASE_TIME = 10_000;

/** How long the lease of a process that still exists is respected after it expired: a machine may sleep, a clock may jump. */
const LEASE_PATIENCE = 60_000;

export class LeaseLost extends Error {}

/**
 * The journal of all runs of a workspace, in `.stationmaster/runs.db`. SQLite in WAL mode; a commit is flushed to disk
 * before `append` returns (`durability: 'disk'`) or handed to the operating system (`'system'`, which survives the
 * death of a process but not a power cut).
 */
export class Store {
  readonly folder: string;
  private readonly db: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();

  private constructor(folder: string, db: DatabaseSync) {
    this.folder = folder;
    this.db = db;
  }

  static open(folder: string, durability: 'disk' | 'system' = 'disk'): Result<Store, StoreProblem> {
    const file = join(folder, 'runs.db');
    let db: DatabaseSync | undefined;
    try {
      mkdirSync(join(folder, 'logs'), { recursive: true });
      const ignore = join(folder, '.gitignore');
      if (!existsSync(ignore)) writeFileSync(ignore, 'runs.db*\nblobs/\nlogs/\nlock\n*.local\n');
      const fresh = !existsSync(file);
      db = new DatabaseSync(file, { timeout: 10_000 });
      const known = fresh ? 0 : inspect(db, file);
      if (typeof known !== 'number') {
        db.close();
        return known;
      }
      db.exec('PRAGMA journal_mode = WAL');
      db.exec(
        `PRAGMA synchronous = ${durability === 'disk' ? 'FULL' : 'OFF'}; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY`,
      );
      migrate(db, known);
      return ok(new Store(folder, db));
    } catch (error) {
      try {
        db?.close();
      } catch {
        // It never opened.
      }
      return storeProblem(error, file);
    }
  }

  close(): void {
    this.db.close();
  }

  /** Runs several writes in one transaction. @throws the SQLite error when it cannot be committed; nothing is kept then */
  transaction<Value>(work: () => Value): Value {
    // Inside another it is a part of that one.
    if (this.db.isTransaction) return work();
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const value = work();
      this.db.exec('COMMIT');
      return value;
    } catch (error) {
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
      throw error;
    }
  }

  createRun(run: { id: string; name: string; file: string; plan: string; at: number; group?: string }): void {
    this.statement(
      `INSERT INTO runs (id, name, file, plan, status, created_at, conflict_group) VALUES (?, ?, ?, ?, 'queued', ?, ?)`,
    ).run(run.id, run.name, run.file, run.plan, run.at, run.group ?? null);
  }

  /**
   * Appends a batch of events and what the list shows of the run, in one transaction.
   *
   * @throws LeaseLost when the run belongs to another owner by now: whoever slept through its lease writes nothing more
   */
  append(run: string, firstSeq: number, events: readonly RecordedEvent[], summary: RunSummary, owner?: string): void {
    const insert = this.statement('INSERT INTO events (run, seq, at, data) VALUES (?, ?, ?, ?)');
    this.transaction(() => {
      if (
        owner !== undefined &&
        this.statement('SELECT lease_owner AS owner FROM runs WHERE id = ?').get(run)?.['owner'] !== owner
      ) {
        throw new LeaseLost('another process drives this run now');
      }
      for (const [index, event] of events.entries()) insert.run(run, firstSeq + index, event.at, JSON.stringify(event));
      this.writeSummary(run, summary);
    });
  }

  private readonly summaries = new Map<string, string>();

  private writeSummary(run: string, summary: RunSummary): void {
    const text = JSON.stringify(summary);
    if (this.summaries.get(run) === text) return;
    this.statement(
      'UPDATE runs SET status = ?, started_at = ?, finished_at = ?, message = ?, questions = ? WHERE id = ?',
    ).run(
      summary.status,
      summary.startedAt ?? null,
      summary.finishedAt ?? null,
      summary.message ?? null,
      summary.questions,
      run,
    );
    this.summaries.set(run, text);
  }

  events(run: string, afterSeq = 0): RecordedEvent[] {
    const rows = this.statement('SELECT data FROM events WHERE run = ? AND seq > ? ORDER BY seq').all(run, afterSeq);
    return rows.map((row) => JSON.parse(row['data'] as string) as RecordedEvent);
  }

  run(id: string): RunRow | undefined {
    return this.statement(`SELECT ${COLUMNS} FROM runs WHERE id = ?`).get(id) as unknown as RunRow | undefined;
  }

  /** Runs whose id begins with `prefix`, newest first. */
  runsByPrefix(prefix: string): RunRow[] {
    const rows = this.statement(
      `SELECT ${COLUMNS} FROM runs WHERE substr(id, 1, ?) = ? ORDER BY created_at DESC LIMIT 20`,
    );
    return rows.all(prefix.length, prefix) as unknown as RunRow[];
  }

  /** A page of runs, newest first. */
  runs(limit = 100, before = Number.MAX_SAFE_INTEGER): RunRow[] {
    const rows = this.statement(
      `SELECT ${COLUMNS} FROM runs WHERE created_at < ? ORDER BY created_at DESC, id LIMIT ?`,
    );
    return rows.all(before, limit) as unknown as RunRow[];
  }

  countRuns(): number {
    return this.statement('SELECT count(*) AS n FROM runs').get()!['n'] as number;
  }

  /** Runs of a concurrency group that have not ended, oldest first. */
  openRunsOfGroup(group: string): RunRow[] {
    const rows = this.statement(
      `SELECT ${COLUMNS} FROM runs WHERE conflict_group = ? AND status NOT IN ('completed', 'failed', 'cancelled') ORDER BY created_at, id`,
    );
    return rows.all(group) as unknown as RunRow[];
  }

  groupOf(run: string): string | undefined {
    return (
      (this.statement('SELECT conflict_group AS name FROM runs WHERE id = ?').get(run)?.['name'] as
        | string
        | null
        | undefined) ?? undefined
    );
  }

  deleteRun(id: string): void {
    this.transaction(() => {
      this.statement('DELETE FROM events WHERE run = ?').run(id);
      this.statement('DELETE FROM wishes WHERE run = ?').run(id);
      this.statement('DELETE FROM runs WHERE id = ?').run(id);
    });
    this.summaries.delete(id);
  }

  /**
   * Takes the right to drive a run, or takes it over from an owner that is gone. `isAlive` tells whether an owner still
   * exists; one that does not loses its lease at once.
   */
  takeLease(run: string, owner: string, now: number, isAlive: (owner: string) => boolean): boolean {
    return this.transaction(() => {
      const row = this.statement('SELECT lease_owner AS owner, lease_until AS until FROM runs WHERE id = ?').get(run);
      if (!row) return false;
      const holder = row['owner'] as string | null;
      if (holder !== null && holder !== owner && (row['until'] as number) + LEASE_PATIENCE > now && isAlive(holder))
        return false;
      this.statement('UPDATE runs SET lease_owner = ?, lease_until = ? WHERE id = ?').run(owner, now + LEASE_TIME, run);
      return true;
    });
  }

  /** Extends a lease; false when another process has taken it. */
  renewLease(run: string, owner: string, now: number): boolean {
    const done = this.statement('UPDATE runs SET lease_until = ? WHERE id = ? AND lease_owner = ?').run(
      now + LEASE_TIME,
      run,
      owner,
    );
    return done.changes === 1;
  }

  releaseLease(run: string, owner: string): void {
    this.statement('UPDATE runs SET lease_owner = NULL, lease_until = 0 WHERE id = ? AND lease_owner = ?').run(
      run,
      owner,
    );
  }

  leaseHolder(run: string, now: number, isAlive: (owner: string) => boolean): string | undefined {
    const row = this.statement('SELECT lease_owner AS owner, lease_until AS until FROM runs WHERE id = ?').get(run);
    const holder = (row?.['owner'] as string | null | undefined) ?? undefined;
    return holder !== undefined && (row!['until'] as number) + LEASE_PATIENCE > now && isAlive(holder)
      ? holder
      : undefined;
  }

  wish(run: string, wish: Wish, now: number): void {
    this.statement('INSERT INTO wishes (run, at, data) VALUES (?, ?, ?)').run(run, now, JSON.stringify(wish));
  }

  /** Takes the wishes for a run out of the store. */
  takeWishes(run: string): Wish[] {
    const select = this.statement('SELECT id, data FROM wishes WHERE run = ? ORDER BY id');
    if (select.get(run) === undefined) return [];
    return this.transaction(() => {
      const rows = select.all(run);
      this.statement('DELETE FROM wishes WHERE run = ?').run(run);
      return rows.map((row) => JSON.parse(row['data'] as string) as Wish);
    });
  }

  /** Changes when another connection committed. Cheap enough to ask ten times a second. */
  dataVersion(): number {
    return this.statement('PRAGMA data_version').get()!['data_version'] as number;
  }

  addRunner(runner: RunnerRow): void {
    this.statement('INSERT OR REPLACE INTO runners (socket, run, pid, start_time, token) VALUES (?, ?, ?, ?, ?)').run(
      runner.socket,
      runner.run,
      runner.pid,
      runner.startTime,
      runner.token,
    );
  }

  removeRunner(socket: string): void {
    this.statement('DELETE FROM runners WHERE socket = ?').run(socket);
  }

  runners(): RunnerRow[] {
    return this.statement(
      'SELECT socket, run, pid, start_time AS startTime, token FROM runners',
    ).all() as unknown as RunnerRow[];
  }

  private statement(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.db.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}

/** The version of an existing store, or why it is refused. Only reads. */
function inspect(db: DatabaseSync, file: string): number | Result<never, StoreProblem> {
  const version = db.prepare('PRAGMA user_version').get()!['user_version'] as number;
  const application = db.prepare('PRAGMA application_id').get()!['application_id'] as number;
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_master').get()!['n'] as number;
  if (tables > 0 && application !== APPLICATION_ID) {
    return fail(
      'store-damaged',
      `${file} is a database of another program; it was left untouched. Move it away and run again`,
    );
  }
  if (version > MIGRATIONS.length) {
    return fail(
      'store-newer',
      `${file} was written by a newer Stationmaster (format ${version}; this one knows ${MIGRATIONS.length}); it was left untouched. Update Stationmaster`,
    );
  }
  return version;
}

function migrate(db: DatabaseSync, from: number): void {
  if (from === MIGRATIONS.length) return;
  db.exec('BEGIN IMMEDIATE');
  // Another process may have been faster.
  const version = db.prepare('PRAGMA user_version').get()!['user_version'] as number;
  for (const sql of MIGRATIONS.slice(version)) db.exec(sql);
  db.exec(`PRAGMA user_version = ${MIGRATIONS.length}; PRAGMA application_id = ${APPLICATION_ID}`);
  db.exec('COMMIT');
}

function storeProblem(error: unknown, file: string): Result<never, StoreProblem> {
  const message = messageOf(error);
  if (/not a database|malformed|corrupt/i.test(message)) {
    return fail(
      'store-damaged',
      `${file} is damaged (${message}); it was left untouched. Move it away to start afresh, or restore it from a backup`,
    );
  }
  return fail(
    'store-unwritable',
    `the store ${file} cannot be opened: ${message}. Check that the folder can be written and the disk is not full`,
  );
}
