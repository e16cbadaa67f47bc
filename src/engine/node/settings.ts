import { availableParallelism } from 'node:os';

export interface EngineSettings {
  /** Steps at the same time when a workflow does not say. */
  readonly parallel: number;
  /** `disk`: a commit is flushed to disk. `system`: handed to the operating system, which survives a killed process. */
  readonly durability: 'disk' | 'system';
  /** Milliseconds that steps go on when their host goes away without a word. */
  readonly orphanGrace: number;
  /** Milliseconds between TERM and KILL. */
  readonly killGrace: number;
  /** Warm shells started ahead. */
  readonly warm: number;
  readonly retention: { readonly runs: number; readonly days: number; readonly bytes: number };
}

/** Settings from the environment, else their defaults. */
export function defaultSettings(env: NodeJS.ProcessEnv = process.env): EngineSettings {
  const number = (name: string, fallback: number) => {
    const value = Number(env[name]);
    return env[name] !== undefined && Number.isFinite(value) && value >= 0 ? value : fallback;
  };
  return {
    parallel: Math.max(1, number('STATIONMASTER_PARALLEL', availableParallelism())),
    durability: env['STATIONMASTER_DURABILITY'] === 'system' ? 'system' : 'disk',
    orphanGrace: number('STATIONMASTER_ORPHAN_GRACE', 30_000),
    killGrace: number('STATIONMASTER_KILL_GRACE', 5_000),
    warm: number('STATIONMASTER_WARM', 2),
    retention: { runs: 1_000, days: 90, bytes: 5_000_000_000 },
  };
}
