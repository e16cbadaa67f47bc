#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { newRunId, spawnRunner } from '../engine/node/runner-process.ts';

// Compiled code is kept between starts. A run's runner starts while the rest is being loaded.
enableCompileCache();
const argv = process.argv.slice(2);
const runs = argv[0] === 'run' && argv.length > 1 && !argv.includes('--help') && !argv.includes('-h');
const prepared = runs ? spawnRunner(newRunId()) : undefined;
const { main } = await import('./main.ts');
await main(argv, prepared);
