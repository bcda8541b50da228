// Holds a request while its image is made: until it is there, until the client leaves, which ends
// the work unless others wait for it, or for as long as clients and proxies wait; then the work goes
// on by itself, and the next request joins it or finds its result.

import type { BuildProgress } from "../../registry/http/building.ts";

/** What a request brings along to the work it waits for. */
export interface Wait {
  /** Aborted when it has left. */
  readonly signal: AbortSignal;
  /** Told what is being waited for, whenever that is something else. */
  readonly onStage: (stage: () => Stage) => void;
}

export type Stage =
  | { readonly kind: "looking-up" }
  | { readonly kind: "queued" }
  | { readonly kind: "fetching"; readonly doneBytes: number; readonly expectedBytes: number }
  | { readonly kind: "realising"; readonly progress: BuildProgress }
  | { readonly kind: "packing" };

export interface StillUnderWay {
  readonly kind: "still-under-way";
  readonly stage: Stage;
}

export interface HoldOptions<Result> {
  readonly holdMs: number;
  /** Aborted when the client leaves; null for work that is wanted whoever leaves. */
  readonly client: AbortSignal | null;
  /** What came of the work when nobody was held for it any more. */
  readonly onLate: (result: PromiseSettledResult<Result>) => void;
}

/** Rejects with the reason of the client's signal when that is aborted first. */
export async function holdRequest<Result>(
  work: (wait: Wait) => Promise<Result>,
  { holdMs, client, onLate }: HoldOptions<Result>,
): Promise<Result | StillUnderWay> {
  client?.throwIfAborted();
  const left = new AbortController();
  const leave = () => left.abort(client?.reason);
  client?.addEventListener("abort", leave, { once: true });
  let stage = (): Stage => ({ kind: "looking-up" });
  const onStage = (next: () => Stage) => {
    stage = next;
  };
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(resolve, holdMs, "late");
  const working = work({ signal: left.signal, onStage });
  try {
    const first = await Promise.race([working, late]);
    if (first !== "late") return first;
  } finally {
    clearTimeout(timer);
    // Whoever was answered has not left: the work stays wanted.
    client?.removeEventListener("abort", leave);
  }
  void Promise.allSettled([working]).then(([result]) => onLate(result));
  return { kind: "still-under-way", stage: stage() };
}
