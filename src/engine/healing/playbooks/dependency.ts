import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { isObject } from '../../../base/json.ts';
import type { Playbook, PlaybookContext, PlaybookOutcome } from '../playbook.ts';

/** Python modules whose package has another name. */
const PYTHON_PACKAGES: Readonly<Record<string, string>> = {
  bs4: 'beautifulsoup4',
  cv2: 'opencv-python',
  dateutil: 'python-dateutil',
  dotenv: 'python-dotenv',
  jwt: 'PyJWT',
  PIL: 'Pillow',
  sklearn: 'scikit-learn',
  yaml: 'PyYAML',
};

interface Installation {
  readonly say: string;
  /** Run in order; the first that fails ends it. */
  readonly commands: readonly (readonly [file: string, ...args: string[]])[];
  readonly changed: readonly string[];
}

/** DependencyError: installs what the manifest or the import names, at a version that exists. */
export const dependencyPlaybook: Playbook = {
  name: 'install-missing-package',
  type: 'DependencyError',
  async propose(finding, context) {
    return plan(finding.subject ?? {}, context)?.say;
  },
  async apply(finding, context): Promise<PlaybookOutcome> {
    const subject = finding.subject ?? {};
    const installation = plan(subject, context);
    if (!installation)
      return { kind: 'failed', description: `nothing is known about how to install ${subject['package'] ?? 'it'}` };
    const missing = await missingFromRegistry(subject, context);
    if (missing !== undefined) return { kind: 'failed', description: missing };
    for (const [file, ...args] of installation.commands) {
      const { code, output } = await context.exec(file, args);
      if (code !== 0) {
        const last = output.trim().split('\n').slice(-3).join(' ').slice(0, 300);
        return {
          kind: 'failed',
          description: `\`${[file, ...args].join(' ')}\` ended with exit code ${code}: ${last}`,
        };
      }
    }
    return {
      kind: 'applied',
      description: installation.say,
      changed: installation.changed.filter((path) => existsSync(join(context.workspace, path))),
    };
  },
};

function plan(subject: Readonly<Record<string, string>>, context: PlaybookContext): Installation | undefined {
  const name = subject['package'];
  if (name === undefined || !/^(@[\w.-]+\/)?[\w.~-]+(\/[\w./~-]+)*$/.test(name)) return undefined;
  switch (subject['manager']) {
    case 'npm':
      return npm(name, context);
    case 'pip':
      return pip(PYTHON_PACKAGES[name] ?? name, context);
    case 'cargo':
      return cargo(name.replaceAll('_', '-'), context);
    case 'go':
      return go(name, context);
    default:
      return undefined;
  }
}

/** The folder of the nearest manifest at or above the step's folder, inside the workspace. */
function manifestFolder(file: string, context: PlaybookContext): string | undefined {
  for (let folder = context.cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, file))) return folder;
    if (folder === context.workspace || folder === dirname(folder)) return undefined;
  }
}

function inWorkspace(context: PlaybookContext, folder: string, files: readonly string[]): string[] {
  return files.map((file) => relative(context.workspace, join(folder, file)).replaceAll('\\', '/'));
}

function npm(name: string, context: PlaybookContext): Installation | undefined {
  const folder = manifestFolder('package.json', context);
  if (folder === undefined) return undefined;
  const flags = ['--prefix', folder, '--no-audit', '--no-fund'];
  const changed = inWorkspace(context, folder, ['package.json', 'package-lock.json']);
  const program = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const manifest = readJson(join(folder, 'package.json'));
  const declared = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].some(
    (key) => isObject(manifest[key]) && Object.hasOwn(manifest[key], name),
  );
  if (declared)
    return {
      say: `install the dependencies of package.json, ${name} among them`,
      commands: [[program, 'install', ...flags]],
      changed,
    };
  return {
    say: `add ${name} to package.json and install it`,
    commands: [[program, 'install', name, ...flags]],
    changed,
  };
}

function pip(name: string, context: PlaybookContext): Installation {
  const python = pythonOf(context);
  const folder = manifestFolder('requirements.txt', context);
  const named =
    folder !== undefined &&
    new RegExp(`^${name}\\b`, 'im').test(readFileSync(join(folder, 'requirements.txt'), 'utf8'));
  if (named) {
    return {
      say: `install requirements.txt, ${name} among it`,
      commands: [[python, '-m', 'pip', 'install', '-r', join(folder, 'requirements.txt')]],
      changed: [],
    };
  }
  return { say: `install ${name} with pip`, commands: [[python, '-m', 'pip', 'install', name]], changed: [] };
}

/** The interpreter of the nearest virtual environment at or above the step's folder, else the system's. */
function pythonOf(context: PlaybookContext): string {
  const inside = process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python';
  const active = context.env['VIRTUAL_ENV'];
  if (active !== undefined && existsSync(join(active, inside))) return join(active, inside);
  for (const name of ['.venv', 'venv']) {
    const folder = manifestFolder(join(name, inside), context);
    if (folder !== undefined) return join(folder, name, inside);
  }
  return process.platform === 'win32' ? 'python' : 'python3';
}

function cargo(name: string, context: PlaybookContext): Installation | undefined {
  const folder = manifestFolder('Cargo.toml', context);
  if (folder === undefined) return undefined;
  return {
    say: `add the crate ${name} to Cargo.toml`,
    commands: [['cargo', 'add', name, '--manifest-path', join(folder, 'Cargo.toml')]],
    changed: inWorkspace(context, folder, ['Cargo.toml', 'Cargo.lock']),
  };
}

function go(name: string, context: PlaybookContext): Installation | undefined {
  const folder = manifestFolder('go.mod', context);
  if (folder === undefined) return undefined;
  return {
    say: `require ${name} in go.mod`,
    commands: [['go', '-C', folder, 'get', name]],
    changed: inWorkspace(context, folder, ['go.mod', 'go.sum']),
  };
}

/** Why the package cannot be had, when its registry says so; a registry that does not answer says nothing. */
async function missingFromRegistry(
  subject: Readonly<Record<string, string>>,
  context: PlaybookContext,
): Promise<string | undefined> {
  if (subject['manager'] !== 'npm') return undefined;
  const name = subject['package']!;
  const { code, output } = await context.exec(process.platform === 'win32' ? 'npm.cmd' : 'npm', [
    'view',
    name,
    'version',
  ]);
  if (code === 0) return undefined;
  if (/E404|404 Not Found/.test(output))
    return `the npm registry has no package called ${name}; it is probably misspelt in the import`;
  return `the npm registry cannot be reached, so ${name} cannot be installed now`;
}

function readJson(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
