import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAll } from './build.ts';
import { runChecks } from './check.ts';

/* `npm test`: checks, build, every suite, and one closing line. */
const root = join(import.meta.dirname, '..');
const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
const results = mkdtempSync(join(tmpdir(), 'stationmaster-test-'));
let passed = 0;
let failed = 0;

function suite(name: string, pattern: string, timeout: number): void {
  console.log(`\n── ${name}`);
  const file = join(results, `${name}.json`);
  const args = [
    '--no-warnings',
    mocha,
    '--timeout',
    String(timeout),
    '--reporter',
    join(root, 'test/reporter.cjs'),
    '--reporter-option',
    `file=${file}`,
    pattern,
  ];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  try {
    const stats = JSON.parse(readFileSync(file, 'utf8')) as { passes: number; failures: number };
    passed += stats.passes;
    failed += stats.failures;
    // A suite without a test, or one that dies after its tests, has not passed.
    if (stats.passes === 0 || (status !== 0 && stats.failures === 0)) failed++;
  } catch {
    failed++;
    console.error(`${name} ended without a result`);
  }
}

console.log('── checks');
for (const check of runChecks()) {
  failed++;
  console.error(`failed: ${check}`);
}
console.log('\n── build');
await buildAll();
suite('unit', 'test/unit/**/*.test.ts', 20_000);
suite('integration', 'test/integration/**/*.test.ts', 120_000);
suite('kill', 'test/kill/**/*.test.ts', 300_000);
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
