import type { ErrorType, Finding, StepFailure } from '../core/events.ts';

/** How one kind of error shows in the output of a tool. The first group that matters is named in `subject`. */
interface Rule {
  readonly type: ErrorType;
  readonly tool: string;
  readonly pattern: RegExp;
  readonly message: (match: RegExpMatchArray) => string;
  readonly subject?: (match: RegExpMatchArray) => Readonly<Record<string, string>>;
  readonly place?: (match: RegExpMatchArray) => { file?: string; line?: number };
}

/** A package's name in an import: `@scope/name/sub` → `@scope/name`. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
}

function isPackage(specifier: string): boolean {
  return !/^[./\\]|^[A-Za-z]:|^node:|^#/.test(specifier);
}

/**
 * Rules by tool, most telling first: a missing package also breaks the build and the tests, so it must be named before
 * they are. Patterns are anchored to what the tools print themselves, not to words that a program may log.
 */
const RULES: readonly Rule[] = [
  {
    type: 'PortInUse',
    tool: 'port',
    pattern:
      /EADDRINUSE[^\n]*?(?::::|:)(\d{2,5})\b|[Aa]ddress already in use[^\n]*?[: ](\d{2,5})\b|[Pp]ort (\d{2,5}) (?:is )?(?:already |taken|in use)/,
    message: (m) => `port ${m[1] ?? m[2] ?? m[3]} is in use`,
    subject: (m) => ({ port: (m[1] ?? m[2] ?? m[3])! }),
  },
  {
    type: 'DependencyError',
    tool: 'npm',
    pattern:
      /(?:Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND[^\n]*?|Can't resolve|Could not resolve|Failed to resolve import) ['"]([^'"\n]+)['"](?:(?: imported)? from ['"]?([^'"\n]+)['"]?)?/,
    message: (m) => `package ${packageOf(m[1]!)} is not installed`,
    subject: (m) => ({ manager: 'npm', package: packageOf(m[1]!) }),
    place: (m) => (m[2] ? { file: m[2] } : {}),
  },
  {
    type: 'DependencyError',
    tool: 'npm',
    pattern:
      /(?:sh: (?:\d+: )?|: line \d+: |: \d+: )((?:tsc|vitest|jest|mocha|vite|eslint|esbuild|webpack|next|rollup|prettier|tsx|ts-node))(?:: command)?(?:: | )not found/,
    message: (m) => `the command ${m[1]} is not installed`,
    subject: (m) => ({ manager: 'npm', package: m[1] === 'tsc' ? 'typescript' : m[1]!, command: m[1]! }),
  },
  {
    type: 'DependencyError',
    tool: 'pip',
    pattern: /(?:File "([^"]+)", line (\d+)[\s\S]{0,400}?)?ModuleNotFoundError: No module named ['"]([\w.]+)['"]/,
    message: (m) => `Python module ${m[3]!.split('.')[0]} is not installed`,
    subject: (m) => ({ manager: 'pip', package: m[3]!.split('.')[0]! }),
    place: (m) => ({ ...(m[1] ? { file: m[1] } : {}), ...(m[2] ? { line: Number(m[2]) } : {}) }),
  },
  {
    type: 'DependencyError',
    tool: 'pip',
    pattern: /No module named (pytest|pip|venv|mypy|ruff|black)\b/,
    message: (m) => `Python module ${m[1]} is not installed`,
    subject: (m) => ({ manager: 'pip', package: m[1]! }),
  },
  {
    type: 'DependencyError',
    tool: 'cargo',
    pattern:
      /error\[E0(?:432|433)\]: (?:unresolved import `([\w]+)[^`]*`|(?:failed to resolve: )?(?:use of undeclared (?:crate or module|type)|use of unresolved module or unlinked crate|could not find|cannot find module or crate|cannot find crate) `(\w+)`[^\n]*)(?:\n\s*-->\s*([^:\n]+):(\d+))?/,
    message: (m) => `crate ${m[1] ?? m[2]} is not a dependency`,
    subject: (m) => ({ manager: 'cargo', package: (m[1] ?? m[2])! }),
    place: (m) => ({ ...(m[3] ? { file: m[3].trim() } : {}), ...(m[4] ? { line: Number(m[4]) } : {}) }),
  },
  {
    type: 'DependencyError',
    tool: 'go',
    pattern:
      /(?:([\w./-]+\.go):(\d+):\d+: )?no required module provides package ([^\s;:]+)|missing go\.sum entry for (?:module providing package |go\.mod file[^\n]*?)([^\s;]+)/,
    message: (m) => `Go package ${m[3] ?? m[4]} is not required by go.mod`,
    subject: (m) => ({ manager: 'go', package: (m[3] ?? m[4])! }),
    place: (m) => ({ ...(m[1] ? { file: m[1] } : {}), ...(m[2] ? { line: Number(m[2]) } : {}) }),
  },
  {
    type: 'ConfigError',
    tool: 'env-file',
    pattern:
      /(?:ENOENT[^\n]*?open ['"]?|No such file or directory[^\n]*?['"]|[Cc]annot (?:find|open|read)[^\n]*?['" ]|file not found: ?['"]?)((?:[\w.\-/\\]*[/\\])?\.env(?:\.[\w-]+)?)\b|(?:^|[: ])((?:[\w.\-/\\]*[/\\])?\.env(?:\.[\w-]+)?): (?:No such file or directory|not found|cannot open)/m,
    message: (m) => `${m[1] ?? m[2]} does not exist`,
    subject: (m) => ({ file: (m[1] ?? m[2])! }),
  },
  {
    type: 'ConfigError',
    tool: 'env',
    pattern:
      /(?:[Mm]issing|[Rr]equired|[Uu]ndefined|unset) (?:required )?(?:environment|env|config(?:uration)?) (?:variable|var|key|setting)s?:? ['"`]?([A-Z][A-Z0-9_]{2,})|([A-Z][A-Z0-9_]{2,})(?:: parameter not set|: unbound variable| (?:environment variable )?(?:is not set|is required|must be set|is missing))/,
    message: (m) => `${m[1] ?? m[2]} is not set`,
    subject: (m) => ({ variable: (m[1] ?? m[2])! }),
  },
  {
    type: 'TestFailure',
    tool: 'node-test',
    pattern: /^# fail ([1-9]\d*)$|^ℹ fail ([1-9]\d*)$/m,
    message: (m) => `${m[1] ?? m[2]} test${(m[1] ?? m[2]) === '1' ? '' : 's'} failed`,
  },
  {
    type: 'TestFailure',
    tool: 'mocha',
    pattern: /^\s+([1-9]\d*) failing$/m,
    message: (m) => `${m[1]} tests failed`,
  },
  {
    type: 'TestFailure',
    tool: 'jest',
    pattern: /^Tests:\s+([1-9]\d*) failed|^\s*Tests\s+([1-9]\d*) failed/m,
    message: (m) => `${m[1] ?? m[2]} tests failed`,
  },
  {
    type: 'TestFailure',
    tool: 'pytest',
    pattern: /^(?:FAILED ([^\s:]+)::(\S+)|=+ [^\n]*?(\d+) failed)/m,
    message: (m) => (m[2] ? `${m[2]} failed` : `${m[3]} tests failed`),
    place: (m) => (m[1] ? { file: m[1] } : {}),
  },
  {
    type: 'TestFailure',
    tool: 'cargo',
    pattern: /^test result: FAILED\. \d+ passed; (\d+) failed/m,
    message: (m) => `${m[1]} tests failed`,
  },
  { type: 'TestFailure', tool: 'go', pattern: /^--- FAIL: (\S+)/m, message: (m) => `${m[1]} failed` },
  {
    type: 'BuildError',
    tool: 'tsc',
    pattern:
      /^([^\s(][^(\n]*)\((\d+),\d+\): error (TS\d+): ([^\n]+)|^([^\s:][^:\n]*):(\d+):\d+ - error (TS\d+): ([^\n]+)/m,
    message: (m) => `${m[3] ?? m[7]}: ${m[4] ?? m[8]}`,
    place: (m) => ({ file: (m[1] ?? m[5])!, line: Number(m[2] ?? m[6]) }),
  },
  {
    type: 'BuildError',
    tool: 'node',
    pattern:
      /(?:Cannot find module|ERR_MODULE_NOT_FOUND[^\n]*?) ['"]((?:\.|\/|[A-Za-z]:)[^'"\n]+)['"](?: imported from ['"]?([^'"\n]+)['"]?)?/,
    message: (m) => `the module ${m[1]} does not exist`,
    place: (m) => (m[2] ? { file: m[2] } : {}),
  },
  {
    type: 'BuildError',
    tool: 'cargo',
    pattern: /^error(?:\[(E\d+)\])?: ([^\n]+)\n\s*-->\s*([^:\n]+):(\d+)/m,
    message: (m) => m[2]!,
    place: (m) => ({ file: m[3]!.trim(), line: Number(m[4]) }),
  },
  {
    type: 'BuildError',
    tool: 'gcc',
    pattern: /^([^\s:][^:\n]*):(\d+):\d+: (?:fatal )?error: ([^\n]+)/m,
    message: (m) => m[3]!,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'BuildError',
    tool: 'go',
    pattern: /^(?:\.\/)?([\w./-]+\.go):(\d+):\d+: ([^\n]+)/m,
    message: (m) => m[3]!,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'BuildError',
    tool: 'node',
    pattern: /^([^\n]+):(\d+)\n[^\n]*\n[^\n]*\^\n\n?SyntaxError: ([^\n]+)/m,
    message: (m) => `SyntaxError: ${m[3]}`,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'BuildError',
    tool: 'python',
    pattern: /File "([^"]+)", line (\d+)\n[\s\S]*?\n(SyntaxError|IndentationError): ([^\n]+)/,
    message: (m) => `${m[3]}: ${m[4]}`,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'RuntimeError',
    tool: 'python',
    pattern:
      /Traceback \(most recent call last\):[\s\S]*?File "([^"]+)", line (\d+)[\s\S]*?\n(\w+(?:Error|Exception)): ([^\n]*)/,
    message: (m) => `${m[3]}: ${m[4]}`,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'RuntimeError',
    tool: 'rust',
    pattern: /thread '[^']*' (?:\(\d+\) )?panicked at ([^:\n]+):(\d+):\d+:\n([^\n]*)/,
    message: (m) => m[3]!,
    place: (m) => ({ file: m[1]!, line: Number(m[2]) }),
  },
  {
    type: 'RuntimeError',
    tool: 'node',
    pattern:
      /^(?:Uncaught )?((?!SyntaxError)(?:[A-Z]\w*)?Error): ([^\n]+)\n\s+at (?:[^\n]*? \()?((?:\/|file:\/\/|[A-Z]:[\\/])[^\n:]*):(\d+):\d+\)?/m,
    message: (m) => `${m[1]}: ${m[2]}`,
    place: (m) => ({ file: m[3]!, line: Number(m[4]) }),
  },
  {
    type: 'RuntimeError',
    tool: 'signal',
    pattern: /Segmentation fault|core dumped|Out of memory|heap out of memory/,
    message: (m) => m[0],
  },
];

/**
 * Reads the errors out of a failed step's output, most telling first; never empty. Pure: the text decides. The text is
 * data: what it says is named, never obeyed (invariant 8).
 */
export function classify(log: string, failure: StepFailure): Finding[] {
  const text = `${log}\n${failure.message}`;
  const findings: Finding[] = [];
  for (const rule of RULES) {
    const match = rule.pattern.exec(text);
    if (!match) continue;
    if (rule.tool === 'npm' && match[1] !== undefined && !isPackage(match[1])) continue;
    const subject = rule.subject?.(match);
    findings.push({
      type: rule.type,
      message: rule.message(match),
      tool: rule.tool,
      excerpt: match[0].slice(0, 400),
      ...rule.place?.(match),
      ...(subject ? { subject } : {}),
    });
  }
  if (findings.length > 0) return findings;
  const type = failure.reason === 'timeout' || failure.reason === 'not-ready' ? 'RuntimeError' : 'Unknown';
  return [{ type, message: failure.message, excerpt: log.trim().slice(-400) }];
}

/** Who handles an error type. */
export const SPECIALIST: Readonly<Record<ErrorType, string>> = {
  BuildError: 'Implementer',
  DependencyError: 'DevOps',
  TestFailure: 'Tester',
  RuntimeError: 'Implementer',
  ConfigError: 'DevOps',
  PortInUse: 'DevOps',
  Unknown: 'Architect',
};
