/**
 * Versions of the store. Each entry brings a store from the version before to its own; entries are never changed once
 * released. `user_version` holds the version.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    message TEXT,
    questions INTEGER NOT NULL DEFAULT 0,
    conflict_group TEXT,
    lease_owner TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX runs_by_time ON runs (created_at DESC);
  CREATE INDEX runs_by_group ON runs (conflict_group) WHERE conflict_group IS NOT NULL;
  CREATE TABLE events (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE wishes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
  ) STRICT;
  CREATE TABLE runners (
    socket TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start_time TEXT NOT NULL,
    token TEXT NOT NULL
  ) STRICT;
  `,
];

/** "SMst": marks the file as ours. */
export const APPLICATION_ID = 0x534d7374;
