// Holds a request while its image is made: until it is there, or for as long as its client waits.
// Whether the client is told to ask again or leaves by itself, the work goes on, and the next request
// joins it or finds its result. Where too many wait, the request waits on before it is told so.

import { setTimeout as pause } from "node:timers/promises";
import type { BuildProgress, LayersDone } from "../../registry/http/building.ts";
import type { StillBuildingStatus } from "../../registry/http/hold.ts";
import { type ClientKey, type Demand, requestDemand } from "./demand.ts";

/** What a request brings along to the work it waits for. */
export interface Wait {
  readonly demand: Demand;
  /** Told what is being waited for, whenever that is something else. */
  readonly onStage: (stage: () => Stage) => void;
}

export type Stage =
  | { readonly kind: "resolving" }
  | { readonly kind: "looking-up" }
  | { readonly kind: "queued" }
  | { readonly kind: "fetching"; readonly doneBytes: number; readonly expectedBytes: number }
  | { readonly kind: "realising"; readonly progress: BuildProgress }
  /** Absent before there is anything to count. Bytes of layers are those of their files. */
  | { readonly kind: "packing" | "storing"; readonly layers?: LayersDone }
  /** What the edge is sent, which no client waits for. */
  | { readonly kind: "backfilling"; readonly layers?: LayersDone };

export interface StillUnderWay {
  readonly kind: "still-under-way";
  readonly stage: Stage;
  /** What its client asks again after. */
  readonly status: StillBuildingStatus;
}

export interface Hold {
  readonly ms: number;
  /** What is answered when it is over. */
  readonly status: StillBuildingStatus;
  /** Whose turns it counts to. */
  readonly client: ClientKey;
  /** Aborted when the client leaves. */
  readonly connection: AbortSignal;
  /** The client wants it to be made, and waits for nothing. */
  readonly isAsynchronous: boolean;
}

export interface HoldOptions<Result> {
  /** Whether it was refused for want of room, so that nothing is under way. */
  readonly isBusy: (result: Result) => boolean;
  /** What came of the work when nobody was held for it any more. */
  readonly onLate: (result: PromiseSettledResult<Result>) => void;
  readonly busyPauseMs?: number;
}

/** After it there is room where a short piece of work has ended. */
const BUSY_PAUSE_MS = 1000;
/** Whoever was told to ask again counts as waiting for so long: some of them rest a while. */
const ASKS_AGAIN_WITHIN_MS = 30_000;

/** Rejects with the reason of the connection's signal when that is aborted first. */
export async function holdRequest<Result>(
  work: (wait: Wait) => Promise<Result>,
  hold: Hold,
  { isBusy, onLate, busyPauseMs = BUSY_PAUSE_MS }: HoldOptions<Result>,
): Promise<Result | StillUnderWay> {
  const { connection, status } = hold;
  connection.throwIfAborted();
  const demand = requestDemand(hold.client);
  if (hold.isAsynchronous) demand.leave();
  let stage = (): Stage => ({ kind: "looking-up" });
  const onStage = (next: () => Stage) => {
    stage = next;
  };
  const end = endOfHold(hold);
  let refused: { readonly result: Result } | undefined;

  async function untilBegun(): Promise<Result> {
    for (;;) {
      refused = undefined;
      const result = await work({ demand, onStage });
      if (!isBusy(result)) return result;
      refused = { result };
      const isOver = await Promise.race([pause(busyPauseMs, false, { ref: false }), end.come]);
      if (isOver) return result;
    }
  }

  const working = untilBegun();
  const first = await Promise.race([working.then((result) => ({ result })), end.come]).finally(
    end.forget,
  );
  if (typeof first === "object") return first.result;
  if (first === "left") demand.leave();
  else setTimeout(demand.leave, ASKS_AGAIN_WITHIN_MS).unref();
  if (refused === undefined) {
    void Promise.allSettled([working]).then(([result]) => onLate(result));
  }
  connection.throwIfAborted();
  return refused?.result ?? { kind: "still-under-way", stage: stage(), status };
}

/** When it comes, and why. */
function endOfHold({ ms, connection }: Hold) {
  const { promise: come, resolve } = Promise.withResolvers<"late" | "left">();
  const timer = setTimeout(resolve, ms, "late");
  const onLeave = () => resolve("left");
  connection.addEventListener("abort", onLeave, { once: true });
  const forget = () => {
    clearTimeout(timer);
    connection.removeEventListener("abort", onLeave);
  };
  return { come, forget };
}
