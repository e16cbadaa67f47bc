import { existsSync, mkdirSync } from 'node:fs';
import { copyFile, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { resolveValue, textForm } from '../../language/expression/resolve.ts';
import { fieldFromText } from '../../language/workflow/fields.ts';
import type { Artifact, Outputs } from '../core/events.ts';
import { scopeValues } from '../core/scope.ts';
import type { StepState } from '../core/state.ts';
import { failed, type StationResult } from '../stations/station.ts';
import type { RunDriver } from './driver.ts';
import type { Secrets } from './secrets.ts';
import type { TalkBack } from './talk-back.ts';

export type Collected = StationResult & { readonly artifacts?: readonly Artifact[] };

/**
 * What a step that ended well leaves: outputs it wrote or its station gave, the files it declared, those in its artifacts
 * folder. A declared product or output that is missing is a failure; a secret in any of it is masked or refused.
 *
 * @throws Error with one sentence when the path of a product cannot be resolved
 */
export async function collect(
  step: StepState,
  talk: TalkBack,
  own: Outputs,
  driver: RunDriver,
  secrets: Secrets,
): Promise<Collected> {
  const { produces, outputs: declared } = step.step;
  const expectsNothing = Object.keys(produces).length === 0 && Object.keys(declared).length === 0;
  if (expectsNothing && talk.isSilent()) return { kind: 'completed', outputs: secrets.mask(own) };
  const outputs = readOutputs(step, talk, own);
  if (typeof outputs === 'string') return failed('bad-output', outputs);
  const missing = Object.keys(declared).find((name) => outputs[name] === undefined);
  if (missing !== undefined) {
    return failed(
      'missing-output',
      `output "${missing}" is declared, and the step did not write it to STATIONMASTER_OUTPUT`,
    );
  }
  const artifacts: Artifact[] = [];
  for (const { name, path, file } of sources(step, talk, driver)) {
    if (!existsSync(file))
      return failed('missing-product', `product "${name}" was not produced: ${path} does not exist`);
    if (secrets.any && secrets.masker.finds(await readFile(file, 'utf8'))) {
      return failed('secret-in-artifact', `product "${name}" holds the value of a secret and was not stored`);
    }
    const version = (driver.state.artifactVersions.get(`${step.path}/${name}`) ?? 0) + 1;
    const sha256 = await driver.parts.blobs.putFile(file);
    artifacts.push({ name, path, sha256, bytes: (await stat(file)).size, version });
  }
  return { kind: 'completed', outputs: secrets.mask(outputs), artifacts };
}

function readOutputs(step: StepState, talk: TalkBack, own: Outputs): Record<string, unknown> | string {
  const said = talk.outputs();
  if (!said.ok) return said.failure.message;
  const outputs: Record<string, unknown> = { ...own };
  for (const [name, text] of Object.entries(said.value)) {
    const field = step.step.outputs[name];
    const value = field ? fieldFromText(text, field) : text;
    if (value === undefined) return `output "${name}" is not of type ${field!.type}: ${text.slice(0, 80)}`;
    outputs[name] = value;
  }
  return outputs;
}

function sources(step: StepState, talk: TalkBack, driver: RunDriver): { name: string; path: string; file: string }[] {
  const declared = Object.entries(step.step.produces).map(([name, pattern]) => {
    const path = textForm(resolveValue(pattern, scopeValues(driver.state, step, driver.artifacts)));
    return { name, path, file: join(driver.parts.workspace, path) };
  });
  return [...declared, ...talk.artifacts().map(({ name, file }) => ({ name, path: '', file }))];
}

/**
 * Writes artifacts of earlier steps to the files a step wants them in. A file of the person's is never written over
 * (invariant 11).
 *
 * @throws Error with one sentence
 */
export async function mountArtifacts(step: StepState, driver: RunDriver): Promise<void> {
  const { parts, state } = driver;
  const prefix = step.scope.path === '' ? '' : `${step.scope.path}/`;
  for (const [path, reference] of Object.entries(step.step.mount)) {
    const [, id = '', name = '', version] = /^([^.]+)\.([^.@]+)(?:@(\d+))?$/.exec(reference) ?? [];
    const artifact = state.steps
      .get(prefix + id)
      ?.artifacts.find(
        (candidate) => candidate.name === name && (version === undefined || candidate.version === Number(version)),
      );
    if (!artifact) throw new Error(`"${reference}" cannot be mounted: step "${id}" did not produce it`);
    const target = join(parts.workspace, path);
    mkdirSync(dirname(target), { recursive: true });
    if (existsSync(target) && !(await isOurs(target, artifact, driver))) {
      throw new Error(
        `"${reference}" cannot be mounted: ${path} exists and holds something else; move it away or mount elsewhere`,
      );
    }
    await copyFile(parts.blobs.path(artifact.sha256), target);
  }
}

/** Whether a file holds what this run put there: any product that it knows. */
async function isOurs(file: string, artifact: Artifact, driver: RunDriver): Promise<boolean> {
  const sha256 = await driver.parts.blobs.addressOf(file);
  if (sha256 === artifact.sha256) return true;
  for (const { artifacts } of driver.state.steps.values()) {
    if (artifacts.some((other) => other.sha256 === sha256)) return true;
  }
  return false;
}

/** Products of the run's steps and files that healing changed, relative to the workspace. */
export function producedFiles(driver: RunDriver): string[] {
  const files = new Set<string>();
  for (const { artifacts, healing } of driver.state.steps.values()) {
    for (const artifact of artifacts) if (artifact.path !== '') files.add(artifact.path);
    for (const action of healing?.actions ?? []) for (const file of action.changed) files.add(file);
  }
  return [...files];
}
