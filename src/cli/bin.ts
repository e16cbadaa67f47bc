#!/usr/bin/env node
import module from 'node:module';
import { newRunId, spawnRunner } from '../engine/node/runner-process.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 16)) {
  process.stderr.write(
    `stationmaster: this is Node ${process.versions.node}; the command needs Node 22.16 or newer, for its node:sqlite\n`,
  );
  process.exit(2);
}

// Compiled code is kept between starts. A run's runner starts while the rest is being loaded.
module.enableCompileCache();
const argv = process.argv.slice(2);
const runs = argv[0] === 'run' && argv.length > 1 && !argv.includes('--help') && !argv.includes('-h');
const prepared = runs ? spawnRunner(newRunId()) : undefined;
const { main } = await import('./main.ts');
await main(argv, prepared);
