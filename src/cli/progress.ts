import type { RecordedEvent } from '../engine/core/events.ts';
import { durationOf } from '../engine/core/scope.ts';
import { isGroup, type RunState, type StepState } from '../engine/core/state.ts';
import { formatDuration } from '../language/values.ts';
import { plain, type Style } from './terminal.ts';

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * Shows a run as it goes: a line for each step that ends, and on a terminal the running ones below, redrawn in place.
 * Holds nothing: all it shows is read from the state.
 */
export class Progress {
  private readonly state: RunState;
  private readonly style: Style;
  private readonly stream: NodeJS.WriteStream;
  private readonly told: (step: string) => { percent: number; text: string } | undefined;
  private readonly live: boolean;
  /** Questions are put at the terminal, so they need no line of their own. */
  private readonly asks: boolean;
  private drawn = 0;
  private frame = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    state: RunState,
    options: {
      style: Style;
      stream: NodeJS.WriteStream;
      asks: boolean;
      told: (step: string) => { percent: number; text: string } | undefined;
    },
  ) {
    this.state = state;
    this.style = options.style;
    this.stream = options.stream;
    this.told = options.told;
    this.asks = options.asks;
    this.live = options.stream.isTTY === true && options.style.colour;
  }

  start(): void {
    if (this.live) this.timer = setInterval(() => this.redraw(), 100);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.erase();
  }

  show(events: readonly RecordedEvent[]): void {
    const lines = events.flatMap((event) => this.linesOf(event));
    if (lines.length === 0) return;
    this.erase();
    this.stream.write(`${lines.join('\n')}\n`);
    if (this.timer) this.redraw();
  }

  private linesOf(event: RecordedEvent): string[] {
    const { style } = this;
    if (!('step' in event))
      return event.type === 'run.cancelling'
        ? [style.yellow('cancelling…')]
        : event.type === 'run.paused'
          ? ['paused']
          : [];
    const step = this.state.steps.get(event.step);
    if (!step) return [];
    const name = style.bold(event.step);
    switch (event.type) {
      case 'step.completed':
        return [`${style.green('✓')} ${name} ${style.dim(this.timing(step))}`];
      case 'step.reviewing':
        return [`${style.yellow('◆')} ${name} awaits review`];
      case 'step.failed': {
        const again =
          event.retryAt === undefined ? '' : style.dim(` — again in ${formatDuration(event.retryAt - event.at)}`);
        return [`${style.red('✗')} ${name} ${plain(event.failure.message)}${again}`];
      }
      case 'service.crashed':
        return [`${style.red('✗')} ${name} ${event.failure.message}`];
      case 'step.skipped':
        return [`${style.dim('–')} ${name} ${style.dim(skipText(event))}`];
      case 'step.cancelled':
        return [`${style.yellow('○')} ${name} ${style.dim('cancelled')}`];
      case 'step.attempt_failed':
        return [
          `${style.yellow('!')} ${name} ${event.failure.type ?? 'Unknown'}: ${plain(event.failure.findings?.[0]?.message ?? event.failure.message)}`,
        ];
      case 'heal.acted':
        // What stopped healing stands in the question that follows.
        return event.action.outcome === 'resolved' || event.action.outcome === 'escalated'
          ? []
          : [`  ${style.cyan('⚕')} ${event.action.specialist}: ${plain(event.action.description)}`];
      case 'step.waiting':
        return event.question && !this.asks ? [`${style.yellow('?')} ${name} ${plain(event.question.text)}`] : [];
      case 'step.interrupted':
        return [`${style.dim('↻')} ${name} ${style.dim('was interrupted and runs again')}`];
      case 'step.started':
        return this.live || isGroup(step)
          ? []
          : [`${style.dim('▸')} ${name}${event.attempt > 1 ? style.dim(` attempt ${event.attempt}`) : ''}`];
      default:
        return [];
    }
  }

  private timing(step: StepState): string {
    const attempts = step.attempts.length > 1 ? `, attempt ${step.attempts.length}` : '';
    return `${formatDuration(durationOf(step) * 1000)}${attempts}`;
  }

  private redraw(): void {
    this.erase();
    const running: string[] = [];
    let more = 0;
    for (const step of this.state.steps.values()) {
      if (step.status !== 'running' || isGroup(step)) continue;
      if (running.length < 8) running.push(this.runningLine(step));
      else more++;
    }
    if (more > 0) running.push(this.style.dim(`  and ${more} more`));
    this.frame++;
    this.drawn = running.length;
    if (running.length > 0) this.stream.write(`${running.join('\n')}\n`);
  }

  private runningLine(step: StepState): string {
    const { style } = this;
    const attempt = step.attempts[step.attempts.length - 1];
    const elapsed = attempt ? formatDuration(Math.max(0, Date.now() - attempt.startedAt)) : '';
    const progress = this.told(step.path);
    const told = progress ? ` ${progress.percent}% ${plain(progress.text)}` : '';
    const line = `${SPINNER[this.frame % SPINNER.length]} ${step.path} ${elapsed}${told}`;
    return style.cyan(line.slice(0, (this.stream.columns ?? 80) - 1));
  }

  private erase(): void {
    if (this.drawn > 0) this.stream.write(`\x1b[${this.drawn}A\x1b[0J`);
    this.drawn = 0;
  }
}

function skipText(event: RecordedEvent & { type: 'step.skipped' }): string {
  switch (event.because) {
    case 'blocked':
      return `blocked by ${(event.blockedBy ?? []).join(', ')}`;
    case 'condition':
      return 'skipped: its condition is false';
    case 'person':
      return 'skipped by a person';
    case 'no-items':
      return 'skipped: nothing to do';
  }
}
