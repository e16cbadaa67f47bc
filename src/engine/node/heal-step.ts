import { isAlive } from '../../system/process-identity.ts';
import type { StepState } from '../core/state.ts';
import { type diagnose, type HealVerdict, heal } from '../healing/heal.ts';
import { PLAYBOOKS } from '../healing/playbooks/index.ts';
import { accepts, freePort } from '../stations/launch.ts';
import { lastPart } from '../stations/log-tail.ts';
import type { RunDriver } from './driver.ts';
import { endProcessesOfRun, listenerOf, runOf } from './orphans.ts';
import type { Active, Workbench } from './workbench.ts';

/** One round of healing for a step of a run, with the run's own means. */
export function healStep(
  step: StepState,
  failure: ReturnType<typeof diagnose>,
  active: Active,
  driver: RunDriver,
  bench: Workbench,
): Promise<HealVerdict> {
  const { path } = step;
  const { env, secrets } = environment(step, bench);
  let parts = 0;
  return heal(failure, PLAYBOOKS, {
    policy: step.step.heal!,
    workspace: driver.parts.workspace,
    cwd: bench.cwd(step),
    step: step.step,
    env,
    now: () => driver.now(),
    session: () => step.healing,
    begin: (finding) =>
      driver.emit({ type: 'heal.begun', step: path, errorType: finding.type, message: finding.message }),
    act: (action) => driver.emit({ type: 'heal.acted', step: path, action }),
    exec: async (file, args) => {
      const name = `heal${parts++}`;
      const log = `${driver.logFile(path, step.attempts.length).slice(0, -4)}.${name}.log`;
      const end = await bench.runJob(step, active, name, {
        command: { kind: 'exec', file, args },
        cwd: bench.cwd(step),
        env,
        log,
        grace: driver.parts.settings.killGrace,
        ...(secrets.length > 0 ? { secrets } : {}),
      });
      return { code: end.code, output: lastPart(log) + (end.message ?? '') };
    },
    ports: {
      listener: (port) => {
        const pid = listenerOf(port);
        return pid === undefined ? undefined : { pid, ours: isOrphan(runOf(pid), driver) };
      },
      endOrphan: async (pid, port) => {
        const run = runOf(pid);
        if (isOrphan(run, driver)) await endProcessesOfRun(run!);
        return !(await accepts(port));
      },
      freePort,
    },
  });
}

/** Whether a process belongs to another run that nobody drives any more. */
function isOrphan(run: string | undefined, { parts }: RunDriver): boolean {
  if (run === undefined || run === parts.runId) return false;
  return parts.store.run(run) !== undefined && parts.store.leaseHolder(run, Date.now(), isAlive) === undefined;
}

function environment(step: StepState, bench: Workbench): { env: Record<string, string>; secrets: string[] } {
  try {
    return bench.env(step);
  } catch {
    // An environment that cannot be resolved is the step's failure, told already; a fix does without it.
    return { env: {}, secrets: [] };
  }
}
