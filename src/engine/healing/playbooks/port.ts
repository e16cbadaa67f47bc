import type { Playbook, PlaybookOutcome } from '../playbook.ts';

/** PortInUse: our own orphan is ended; somebody else keeps it, and a step that takes any port gets another. */
export const portPlaybook: Playbook = {
  name: 'free-port',
  type: 'PortInUse',
  async propose(finding, { step, ports }) {
    const port = Number(finding.subject?.['port']);
    const listener = ports.listener(port);
    if (listener?.ours) return `end process ${listener.pid}, left over from an earlier run, which holds port ${port}`;
    if (step.port !== undefined || usesPort(step.env))
      return `use another port than ${port}, which another program holds`;
    return undefined;
  },
  async apply(finding, { step, ports }): Promise<PlaybookOutcome> {
    const port = Number(finding.subject?.['port']);
    const listener = ports.listener(port);
    if (listener?.ours) {
      const freed = await ports.endOrphan(listener.pid, port);
      return freed
        ? {
            kind: 'applied',
            description: `ended process ${listener.pid}, left over from an earlier run, which held port ${port}`,
            changed: [],
          }
        : { kind: 'failed', description: `process ${listener.pid} still holds port ${port}` };
    }
    if (step.port !== undefined || usesPort(step.env)) {
      const other = await ports.freePort();
      return {
        kind: 'applied',
        description: `port ${port} belongs to another program, so the step uses port ${other}`,
        changed: [],
        port: other,
      };
    }
    return {
      kind: 'failed',
      description: `port ${port} belongs to another program, and the step gives no other port to use`,
    };
  },
};

function usesPort(env: Readonly<Record<string, string>>): boolean {
  return Object.hasOwn(env, 'PORT');
}
