// What becomes of a push, and how a step that did not succeed ends it.

export type PushOutcome =
  | { readonly kind: "pushed"; readonly uploads: number }
  | { readonly kind: "retry"; readonly reason: string }
  /** What it names is no longer in the storage: there is nothing to give. */
  | { readonly kind: "dropped"; readonly reason: string };

/** Nothing but `stop` throws it. */
export class PushStopped extends Error {
  readonly outcome: PushOutcome;
  constructor(outcome: PushOutcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

export function stop(outcome: PushOutcome): never {
  throw new PushStopped(outcome);
}
