import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix, relative } from 'node:path';

/*
 * The arrows of ARCHITECTURE.md. Each layer lists what it may import; `packages` and `node` say whether it may use
 * packages and Node's own modules. The longest matching folder decides.
 */
interface Layer {
  readonly may: readonly string[];
  readonly packages: readonly string[];
  readonly node: boolean;
}

const LAYERS: Readonly<Record<string, Layer>> = {
  'src/base': { may: [], packages: [], node: false },
  'src/protocol': { may: ['src/base'], packages: [], node: false },
  'src/system': { may: ['src/base'], packages: [], node: true },
  'src/language': {
    may: ['src/base'],
    packages: ['yaml', '@marcbachmann/cel-js', '@cfworker/json-schema', 'handlebars', 'croner'],
    node: false,
  },
  'src/engine/core': { may: ['src/base', 'src/language', 'src/protocol'], packages: [], node: false },
  'src/engine/stations': {
    may: ['src/base', 'src/language', 'src/protocol', 'src/engine/core'],
    packages: ['simple-git'],
    node: true,
  },
  'src/engine/healing': { may: ['src/base', 'src/language', 'src/engine/core'], packages: [], node: true },
  'src/engine/node': {
    may: [
      'src/base',
      'src/language',
      'src/protocol',
      'src/system',
      'src/engine/core',
      'src/engine/stations',
      'src/engine/healing',
    ],
    packages: ['simple-git'],
    node: true,
  },
  'src/runner': { may: ['src/base', 'src/protocol', 'src/system'], packages: [], node: true },
  'src/cli': { may: ['src/base', 'src/language', 'src/protocol', 'src/engine'], packages: [], node: true },
};

const root = join(import.meta.dirname, '..');
const problems: string[] = [];
const builtins = new Set(builtinModules);

for (const file of globSync('src/**/*.ts', { cwd: root })
  .map((path) => path.replaceAll('\\', '/'))
  .sort()) {
  const name = layerOf(file);
  if (name === undefined) {
    problems.push(`${file} belongs to no layer; add its folder to scripts/check-layers.ts and ARCHITECTURE.md`);
    continue;
  }
  const layer = LAYERS[name]!;
  const text = readFileSync(join(root, file), 'utf8');
  for (const match of text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
  )) {
    const target = (match[1] ?? match[2] ?? match[3])!;
    if (target.startsWith('.')) {
      const path = posix.join(dirname(file).replaceAll('\\', '/'), target);
      const other = layerOf(path);
      const allowed = other === name || layer.may.some((folder) => path.startsWith(`${folder}/`));
      if (!allowed) problems.push(`${file} imports ${path}: ${name} may not know ${other ?? dirname(path)}`);
    } else if (target.startsWith('node:') || builtins.has(target)) {
      if (!layer.node) problems.push(`${file} imports ${target}: ${name} is pure`);
    } else {
      const pack = target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/');
      if (!layer.packages.includes(pack))
        problems.push(`${file} imports ${target}: ${name} may not use the package ${pack}`);
    }
  }
}

function layerOf(file: string): string | undefined {
  return Object.keys(LAYERS)
    .filter((folder) => file.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`layers: every import of ${relative(process.cwd(), join(root, 'src')) || 'src'} follows its arrow`);
