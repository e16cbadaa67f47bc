import { spawnSync } from 'node:child_process';

/* Types, lint and format, layers, manifest, dead code, generated files: all of them, and then the verdict. */
const CHECKS = ['check:types', 'check:lint', 'check:layers', 'check:manifest', 'check:dead', 'check:generated'];

export function runChecks(): string[] {
  return CHECKS.filter(
    (name) =>
      spawnSync('npm', ['run', '--silent', name], { stdio: 'inherit', shell: process.platform === 'win32' }).status !==
      0,
  );
}

if (import.meta.main) {
  const failed = runChecks();
  if (failed.length > 0) {
    console.error(`failed: ${failed.join(', ')}`);
    process.exit(1);
  }
}
