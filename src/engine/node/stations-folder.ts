import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../../base/result.ts';
import { defineStation, type StationDefinition } from '../stations/define-station.ts';
import type { Station } from '../stations/station.ts';

export interface LoadedStations {
  readonly stations: readonly Station[];
  /** One sentence for each module that cannot be used. */
  readonly problems: readonly string[];
}

/**
 * Loads the modules in `.stationmaster/stations/`. Loading runs their code, so a host asks whether the workspace is
 * trusted first.
 */
export async function loadStations(folder: string): Promise<LoadedStations> {
  if (!existsSync(folder)) return { stations: [], problems: [] };
  const stations: Station[] = [];
  const problems: string[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!/\.(mjs|js|ts|mts)$/.test(file)) continue;
    try {
      const module = (await import(pathToFileURL(join(folder, file)).href)) as { default?: unknown };
      const definition = module.default;
      const problem = definitionProblem(definition);
      if (problem) problems.push(`.stationmaster/stations/${file} ${problem}`);
      else stations.push(defineStation(definition as StationDefinition));
    } catch (error) {
      problems.push(`.stationmaster/stations/${file} cannot be loaded: ${messageOf(error)}`);
    }
  }
  return { stations, problems };
}

function definitionProblem(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object')
    return 'exports no station as its default: `export default { name, description, execute }`';
  const { name, description, execute } = value as Partial<StationDefinition>;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(name))
    return 'needs a name of lower case letters, digits and dashes';
  if (typeof description !== 'string') return 'needs a description';
  return typeof execute === 'function' ? undefined : 'needs a function `execute(context)`';
}
