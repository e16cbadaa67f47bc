/** An expected failure as a value: a named reason and one sentence that says what happened, where, and what to do next. */
export interface Failure<Reason extends string = string> {
  readonly reason: Reason;
  readonly message: string;
}

export type Result<Value, Reason extends string = string> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly failure: Failure<Reason> };

export function ok<Value>(value: Value): { readonly ok: true; readonly value: Value } {
  return { ok: true, value };
}

export function fail<Reason extends string>(
  reason: Reason,
  message: string,
): { readonly ok: false; readonly failure: Failure<Reason> } {
  return { ok: false, failure: { reason, message } };
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
