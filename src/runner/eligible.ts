/**
 * Whether a script may run in a subshell of a warm shell with exactly the semantics of a fresh one. What tells a subshell
 * from a shell (its pid, its parent, its depth, job control) and what starts background work goes to a fresh process.
 */
export function fitsWarmShell(script: string): boolean {
  return !TELLTALE.test(script) && !BACKGROUND.test(script);
}

const TELLTALE =
  /\$\$|\$\{?(PPID|BASHPID|BASH_|SHLVL|SECONDS|RANDOM|SRANDOM|EPOCH|LINENO|FUNCNAME|COPROC|_\b|-|0|!)|\$\{![A-Za-z]|\b(fg|bg|jobs|wait|disown|suspend|coproc|history|ulimit|nohup|setsid|times|logout|caller)\b|\bset\s+[-+][a-zA-Z]*[mbi]|\bset\s+[-+]o\s+(monitor|notify|ignoreeof)|#!/;

/** A single `&`, which is neither `&&` nor part of a redirection such as `2>&1` or `&>file`. */
const BACKGROUND = /(^|[^&<>|\\])&(?![&>])/;
