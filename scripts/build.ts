import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** Bundles the command line and the runner into `dist/`. */
export async function buildAll(): Promise<void> {
  const outdir = join(root, 'dist');
  rmSync(outdir, { recursive: true, force: true });
  const common = {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    outdir,
    outExtension: { '.js': '.mjs' },
    // Names and lines stay, so that a stack trace in a report can be read.
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
  } as const;
  await build({
    ...common,
    entryPoints: {
      stationmaster: join(root, 'src/cli/bin.ts'),
      station: join(root, 'src/engine/stations/define-station.ts'),
    },
    splitting: true,
    // Most files never need the full YAML parser, whose modules take long to come up: it is loaded when it is called.
    alias: { yaml: join(root, 'scripts/lazy-yaml.cts') },
    chunkNames: '[name]-[hash]',
    // Packages written for CommonJS ask for Node's own modules with `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  await build({ ...common, entryPoints: { runner: join(root, 'src/runner/main.ts') } });
  chmodSync(join(outdir, 'stationmaster.mjs'), 0o755);
}

if (import.meta.main) await buildAll();
