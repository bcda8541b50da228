// Has slices read and indexes assembled on a thread of its own, so that megabytes of JSON keep nobody
// waiting who pulls. It is there while an index is being made.

import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { AskedSlice } from "../nix/look-up-slice.ts";
import type { Assembled, Assembling } from "./assemble.ts";
import type { IndexAnswer, IndexJob, ReadSlice } from "./index-worker.ts";
import type { ToldSlice } from "./slice.ts";

export interface IndexThread {
  /** What Nix said of the attributes that it was asked. */
  read(json: string, groups: AskedSlice["groups"]): Promise<ReadSlice>;
  /** Null for what is no slice, or was asked by others. */
  tell(packed: Uint8Array): Promise<ToldSlice | null>;
  assemble(slices: readonly Uint8Array[], of: Assembling): Promise<Assembled>;
  close(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "index-worker.ts");
/** All of nixpkgs takes some hundred. */
const MAX_HEAP_MEGABYTES = 1024;

/** `askedBy`: what slices are asked by. */
export function startIndexThread(askedBy: string): IndexThread {
  const worker = new Worker(PROGRAM, {
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MEGABYTES },
  });
  worker.unref();
  let closed = false;
  let ended: Error | undefined;
  let waiting: ((answer: IndexAnswer) => void)[] = [];
  worker.on("message", (answer: IndexAnswer) => {
    const [first, ...others] = waiting;
    waiting = others;
    if (others.length === 0) worker.unref();
    first?.(answer);
  });
  worker.on("error", (error) => {
    ended = error instanceof Error ? error : new Error(String(error));
  });
  worker.on("exit", () => {
    ended ??= new Error(`the thread of package indexes ${closed ? "is closed" : "has ended"}`);
    const lost = waiting;
    waiting = [];
    for (const settle of lost) settle({ kind: "failed", error: ended });
  });

  async function ask(job: IndexJob): Promise<Exclude<IndexAnswer, { kind: "failed" }>> {
    if (ended !== undefined) throw ended;
    const { promise, resolve } = Promise.withResolvers<IndexAnswer>();
    waiting.push(resolve);
    worker.ref();
    worker.postMessage(job);
    const answer = await promise;
    if (answer.kind === "failed") throw answer.error;
    return answer;
  }

  return {
    async read(json, groups) {
      const answer = await ask({ kind: "read", json, groups, askedBy });
      if (answer.kind !== "read") throw new Error(`read and got ${answer.kind}`);
      return answer.slice;
    },
    async tell(packed) {
      const answer = await ask({ kind: "tell", packed, askedBy });
      if (answer.kind !== "told") throw new Error(`told and got ${answer.kind}`);
      return answer.told;
    },
    async assemble(slices, of) {
      const answer = await ask({ kind: "assemble", slices, of, askedBy });
      if (answer.kind !== "assembled") throw new Error(`assembled and got ${answer.kind}`);
      return answer.index;
    },
    async close() {
      closed = true;
      await worker.terminate();
    },
  };
}
