// The thread of package indexes: reads what Nix says of thousands of attributes, and assembles all of it.

import { parentPort } from "node:worker_threads";
import type { AskedSlice } from "../nix/look-up-slice.ts";
import { parseSliceAnswers, type SliceOfSet } from "../nix/lookup-json.ts";
import { type Assembled, type Assembling, assemble } from "./assemble.ts";
import { packSlice, type ToldSlice, tellSlice, unpackSlice } from "./slice.ts";

/** `json`: what Nix has said of the groups. */
export type IndexJob = { readonly askedBy: string } & (
  | { readonly kind: "read"; readonly json: string; readonly groups: AskedSlice["groups"] }
  | { readonly kind: "tell"; readonly packed: Uint8Array }
  | { readonly kind: "assemble"; readonly slices: readonly Uint8Array[]; readonly of: Assembling }
);

export interface ReadSlice {
  readonly packed: Uint8Array;
  readonly told: ToldSlice;
}

export type IndexAnswer =
  | { readonly kind: "read"; readonly slice: ReadSlice }
  /** Null: it is none. */
  | { readonly kind: "told"; readonly told: ToldSlice | null }
  | { readonly kind: "assembled"; readonly index: Assembled }
  | { readonly kind: "failed"; readonly error: unknown };

if (parentPort === null) throw new Error("index-worker.ts runs as a worker thread");
const port = parentPort;
port.on("message", async (job: IndexJob) => port.postMessage(await perform(job)));

async function perform(job: IndexJob): Promise<IndexAnswer> {
  try {
    switch (job.kind) {
      case "read": {
        const paths = job.groups.flatMap(({ set, names }) => names.map((name) => [...set, name]));
        const slice = parseSliceAnswers(JSON.parse(job.json), paths);
        const packed = packSlice(slice, job.askedBy);
        return { kind: "read", slice: { packed, told: tellSlice(slice) } };
      }
      case "tell": {
        const slice = unpackSlice(job.packed, job.askedBy);
        return { kind: "told", told: slice === undefined ? null : tellSlice(slice) };
      }
      case "assemble":
        return { kind: "assembled", index: await assemble(unpackAll(job), job.of) };
      default:
        return job satisfies never;
    }
  } catch (error) {
    return { kind: "failed", error };
  }
}

function* unpackAll({ slices, askedBy }: Extract<IndexJob, { kind: "assemble" }>) {
  for (const packed of slices) {
    const slice: SliceOfSet | undefined = unpackSlice(packed, askedBy);
    if (slice !== undefined) yield slice;
  }
}
