// Runs on any Node >= 20 with npm, nothing else installed: sets the project up, then runs a script on its own Node 24.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const windows = process.platform === 'win32';
const node = join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
const stamp = join(root, 'node_modules', '.stationmaster-stamp');
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');

function run(file, args, options = {}) {
  const done = spawnSync(file, args, { cwd: root, stdio: 'inherit', shell: windows && file === 'npm', ...options });
  if (done.error) {
    console.error(`${file} could not be started: ${done.error.message}`);
    process.exit(1);
  }
  return done.status ?? 1;
}

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  console.log('Installing dependencies (npm ci) …');
  if (run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']) !== 0) {
    console.error('`npm ci` failed. Is the npm registry reachable? `npm ping` tells. Then run the command again.');
    process.exit(1);
  }
  // npm may be set up to run no install scripts; this one puts the Node binary in its place.
  if (!existsSync(node))
    run(process.execPath, ['installArchSpecificPackage'], { cwd: join(root, 'node_modules', 'node') });
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}
if (!existsSync(node)) {
  console.error(
    `${node} is missing although dependencies are installed; remove node_modules and run the command again`,
  );
  process.exit(1);
}
const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}${windows ? ';' : ':'}${process.env.PATH}` };
process.exit(
  run(node, ['--no-warnings', join(root, 'scripts', `${process.argv[2]}.ts`), ...process.argv.slice(3)], { env }),
);
