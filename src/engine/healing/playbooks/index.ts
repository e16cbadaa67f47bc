import type { Playbook } from '../playbook.ts';
import { configPlaybook } from './config.ts';
import { dependencyPlaybook } from './dependency.ts';
import { portPlaybook } from './port.ts';

export const PLAYBOOKS: readonly Playbook[] = [portPlaybook, dependencyPlaybook, configPlaybook];
