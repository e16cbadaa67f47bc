import type { JsonObject } from '../../base/json.ts';
import type { Station, StationContext, StationResult } from './station.ts';

/** What a module in `.stationmaster/stations/` exports as its default. */
export interface StationDefinition {
  /** Lower case letters, digits and dashes; steps name it in `use`. */
  readonly name: string;
  readonly description: string;
  /** JSON Schemas of the inputs by name; those in `required` must be given. */
  readonly inputs?: Readonly<Record<string, JsonObject>>;
  readonly required?: readonly string[];
  /** JSON Schemas of the outputs by name. */
  readonly outputs?: Readonly<Record<string, JsonObject>>;
  /** Whether `heal` may be used with it. */
  readonly heals?: boolean;
  execute(context: StationContext): Promise<StationResult>;
}

/** Makes a station of a definition. The public way to add one. */
export function defineStation(definition: StationDefinition): Station {
  return {
    signature: {
      name: definition.name,
      description: definition.description,
      inputs: {
        type: 'object',
        properties: { ...definition.inputs },
        required: [...(definition.required ?? [])],
        additionalProperties: false,
      },
      outputs: definition.outputs ?? {},
    },
    ...(definition.heals === undefined ? {} : { heals: definition.heals }),
    execute: (context) => definition.execute(context),
  };
}
