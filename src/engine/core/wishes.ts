import type { Answer } from './events.ts';

/** What another process, or a person, wants of a run. Sent through the store; whoever holds the lease fulfils it. */
export type Wish =
  | { readonly type: 'cancel'; readonly force: boolean }
  | { readonly type: 'pause' }
  | { readonly type: 'unpause' }
  | { readonly type: 'continue'; readonly step: string }
  | { readonly type: 'answer'; readonly step: string; readonly answer: Answer };
