import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FromRunner, Job, JobEnd } from '../../../src/protocol/runner.ts';
import { fitsWarmShell } from '../../../src/runner/eligible.ts';
import { Executor } from '../../../src/runner/executor.ts';
import { startFresh } from '../../../src/runner/fresh.ts';
import { membersOf } from '../../../src/runner/processes.ts';
import { startTimeOf } from '../../../src/system/process-identity.ts';

/*
 * A warm shell must be told from a fresh one by nothing but its speed. Each script runs on both; exit code and output must
 * be the same, and what one script does must never be seen by the next.
 */
describe('warm shells', function () {
  if (process.platform === 'win32') return;
  this.timeout(20_000);
  let folder: string;
  let executor: Executor;
  let count = 0;
  const waiting = new Map<string, (end: JobEnd) => void>();
  const env = { ...process.env, BASE: 'base' } as NodeJS.ProcessEnv;
  delete env['OLDPWD'];

  before(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'sm-warm-')));
    mkdirSync(join(folder, 'sub dir'));
    env['PWD'] = folder;
    executor = new Executor({
      env,
      cwd: folder,
      warm: 1,
      slots: 4,
      record: join(folder, 'processes'),
      send: (message: FromRunner) => {
        if (message.type === 'ended') waiting.get(message.id)?.(message.end);
      },
    });
  });
  after(() => {
    executor.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const jobOf = (script: string, more: Partial<Job> = {}, shell: 'sh' | 'bash' = 'sh'): Job => ({
    command: { kind: 'shell', shell, script },
    cwd: folder,
    env: { STEP: 'a b\'c"d$e\nf' },
    log: join(folder, `${count++}.log`),
    grace: 500,
    ...more,
  });
  const warm = (job: Job, id = `w${count++}`) => {
    const end = new Promise<JobEnd>((resolve) => waiting.set(id, resolve));
    executor.start(id, job);
    return end.then((value) => ({ code: value.code, because: value.because, out: readFileSync(job.log, 'utf8') }));
  };
  const fresh = (job: Job) =>
    new Promise<{ code: number; because: string; out: string }>((resolve) => {
      startFresh(job, env, ({ code }) => resolve({ code, because: 'exit', out: readFileSync(job.log, 'utf8') }));
    });

  /** KILL has been sent; the kernel takes a moment. */
  const isGone = async (pid: number) => {
    for (let i = 0; i < 100 && startTimeOf(pid) !== undefined; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(startTimeOf(pid), undefined);
  };

  const SAME = [
    'echo hello; echo oops >&2',
    'exit 7',
    'false; echo not reached',
    'true && false || echo rescued',
    'cat; echo "stdin was empty: $?"',
    'printf "%s\\n" "$STEP" "$BASE"',
    'pwd; echo "$PWD"',
    'cd /; pwd',
    'X=1; export X; echo "$X"; unset BASE',
    'echo "[$X][$BASE][$-]"',
    'trap "echo bye" EXIT; echo hi',
    'echo "no trap left"',
    'trap "echo term" TERM; kill -TERM $(sh -c "echo \\$PPID"); echo after',
    'umask 077; umask',
    'umask',
    'exec 7>"x.fd"; echo x >&7; ls /proc/self/fd 2>/dev/null | sort -n | head -20 | wc -l',
    'ls /proc/self/fd 2>/dev/null | wc -l',
    'set -u; echo "$NOT_THERE"',
    'echo "$NOT_THERE"',
    'set +e; false; echo "goes on"',
    'f() { return 3; }; f',
    'f',
    'alias ll=ls; ll_missing',
    'echo $0 $#; set -- a b; echo $#',
    'echo $#',
    'sh -c "kill -9 \\$\\$"',
    'sh -c "exit 300"',
    'if then fi',
    'echo after a syntax error',
    'echo "unclosed',
    'exec echo replaced',
    'IFS=,; set -- $(echo a,b); echo $1',
    'set -- $(echo a,b); echo $1',
    'readonly R=1; echo $R',
    'R=2; echo $R',
    'cat <<EOT\n$STEP\nEOT',
    'env | grep -c "^OLDPWD=" || true',
    "echo 'single'\\''quote'",
    'printf "\\001\\377" | od -c | head -1',
    'ulimit -n >/dev/null && echo limits',
    'nonexistent-command-xyz',
    '# only a comment',
    'echo a; # comment at the end',
    'echo no newline at the end |tr -d "\\n"',
    'kill -TERM 0 2>/dev/null; echo still',
  ];

  for (const shell of ['sh', 'bash'] as const) {
    for (const script of SAME) {
      it(`${shell}: ${script.split('\n')[0]}`, async () => {
        const a = await warm(jobOf(script, {}, shell));
        const b = await fresh(jobOf(script, {}, shell));
        // A fresh bash becomes its last command, so nobody is left to report its death; a subshell reports it.
        // Messages of the shell itself name a line and `eval`; what follows is the same.
        const normal = (text: string) =>
          text
            .replace(/^.*?(?:eval: )?(?:line \d+|\d+): (?:eval: )?(?:line \d+: )?/gm, '')
            .replace(/^(sh|bash): (eval: |-c: )?/gm, '')
            .replace(/^(eval|-c): (line \d+: )?/gm, '')
            .replace(/^ *\d+ Killed .*\n/gm, '')
            .replace(/`.*$|unexpected .*$/gm, '…');
        assert.deepEqual({ ...a, out: normal(a.out) }, { ...b, out: normal(b.out) });
      });
    }
  }

  it('runs in another folder with blanks in its name, and back', async () => {
    assert.equal((await warm(jobOf('pwd', { cwd: join(folder, 'sub dir') }))).out, `${join(folder, 'sub dir')}\n`);
    assert.equal((await warm(jobOf('pwd; echo "[$OLDPWD]"'))).out, `${folder}\n[]\n`);
  });

  it('ends a script that takes too long, and all it started', async () => {
    const pidFile = join(folder, 'pid');
    const end = await warm(jobOf(`sh -c 'echo $$ > ${pidFile}; exec sleep 60'; true`, { timeout: 300 }));
    assert.equal(end.because, 'timeout');
    await isGone(Number(readFileSync(pidFile, 'utf8')));
    assert.equal((await warm(jobOf('echo next'))).out, 'next\n');
  });

  it('kills what does not listen to TERM', async () => {
    const job = jobOf('trap "" TERM; sh -c "trap \\"\\" TERM; sleep 60"; true');
    const ended = warm(job, 'stubborn');
    await new Promise((resolve) => setTimeout(resolve, 200));
    executor.stop('stubborn', false);
    assert.equal((await ended).because, 'stopped');
  });

  it('ends what a program left running in the background', async () => {
    writeFileSync(join(folder, 'daemon.sh'), 'sleep 61 & echo $! > daemon.pid\n');
    await warm(jobOf('sh ./daemon.sh'));
    const pid = Number(readFileSync(join(folder, 'daemon.pid'), 'utf8'));
    await isGone(pid);
  });

  it('tells who is in a group', () => {
    assert.equal(membersOf(new Set([999_999_999])).size, 0);
  });

  it('leaves to a fresh process what could tell the difference', () => {
    for (const script of [
      'echo $$',
      'sleep 1 &',
      'echo $PPID',
      'echo ${RANDOM}',
      'wait',
      'set -m',
      'nohup x',
      'echo $!',
      'jobs',
    ])
      assert.equal(fitsWarmShell(script), false, script);
    for (const script of ['a && b', 'a 2>&1', 'a >&2', 'echo "$HOME"', 'npm test', 'a &>log || true'])
      assert.equal(fitsWarmShell(script), true, script);
  });
});
