import { buildTest } from './build-test.ts';
import { commitStation } from './commit.ts';
import type { Station } from './station.ts';
import { validateStation } from './validate.ts';

export const BUILT_IN_STATIONS: readonly Station[] = [buildTest, validateStation, commitStation];

/** Stations by name: the built-in ones, and those of the workspace, which may not take their names. */
export class StationRegistry {
  private readonly byName = new Map<string, Station>();

  constructor(added: readonly Station[] = []) {
    for (const station of [...added, ...BUILT_IN_STATIONS]) this.byName.set(station.signature.name, station);
  }

  get(name: string): Station | undefined {
    return this.byName.get(name);
  }

  all(): readonly Station[] {
    return [...this.byName.values()];
  }
}
