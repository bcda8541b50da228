// Makes the index of a package set at a pin, for one system: slice after slice of evaluations (evaluate.ts),
// then the objects, and the root last. What is stored of a run that was ended is gone on with.

import type { System } from "../../registry/naming/recipe.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import type { PinnedTag } from "../sources/pins.ts";
import type { Trees } from "../sources/trees.ts";
import { storeIndexObject } from "../storage/stored-index.ts";
import { requestDemand } from "../waiting/demand.ts";
import { type ClaimTimes, openClaim } from "./claim.ts";
import { type EvaluatingOptions, evaluateSet, type NotMade, type Run } from "./evaluate-set.ts";
import { startIndexThread } from "./index-thread.ts";
import { askedBy, isWhole, lookUpRoot, storeRoot } from "./stored-root.ts";
import { openStoredSlices } from "./stored-slices.ts";
import { openWork } from "./work.ts";

export interface WantedIndex {
  readonly pinned: PinnedTag;
  readonly system: System;
}

export type MadeIndex =
  | {
      readonly kind: "made";
      readonly root: IndexRoot;
      readonly packages: number;
      readonly unexplained: number;
      /** Of the processes of Nix alone, in this run. */
      readonly evaluatedMs: number;
    }
  /** By an earlier run, or by another process meanwhile. */
  | { readonly kind: "there"; readonly root: IndexRoot }
  | NotMade;

export interface MakingOptions extends EvaluatingOptions {
  readonly trees: Pick<Trees, "obtain">;
  readonly now: () => number;
  readonly claimTimes?: ClaimTimes;
}

/** Rejects with the signal's reason. */
export async function makeIndex(
  wanted: WantedIndex,
  options: MakingOptions,
  signal: AbortSignal,
): Promise<MadeIndex> {
  const { pinned, system } = wanted;
  const { store, log, nix, sets, onStage, claimTimes } = options;
  const by = askedBy(nix.expressionsId, sets);
  const slices = openStoredSlices(store, pinned.pin, system);
  onStage({ kind: "waiting" });
  const claim = await openClaim({
    ...{ store, key: slices.claimKey, signal, ...(claimTimes && { times: claimTimes }) },
    onWait: () => log.info({ pin: pinned.pin, system }, "another process makes this index"),
  });
  const thread = startIndexThread(by);
  try {
    const stored = await lookUpRoot(store, pinned.pin, system);
    if (stored?.askedBy === by && (await isWhole(store, stored.root))) {
      return { kind: "there", root: stored.root };
    }
    const source = await obtain(pinned, options, signal);
    if (source.kind === "not-made") return source;
    const work = openWork();
    for await (const packed of slices.all()) {
      const told = await thread.tell(packed);
      if (told !== null) work.learn(told);
    }
    const evaluation = { nix, source, system, signal };
    const run: Run = { evaluation, slices, thread, work, by, isOwn: claim.isOwn };
    const evaluated = await evaluateSet(run, options);
    if (evaluated.kind === "not-made") return evaluated;
    onStage({ kind: "storing" });
    return { ...(await storeAll(run, wanted, options)), evaluatedMs: evaluated.ms };
  } finally {
    await thread.close();
    await claim.release().catch((error) => log.warn({ err: error }, "a claim is still stored"));
  }
}

async function obtain(
  pinned: PinnedTag,
  { trees }: MakingOptions,
  signal: AbortSignal,
): Promise<PinnedSource | NotMade> {
  const demand = requestDemand("the index");
  demand.leave();
  const ended = AbortSignal.any([signal, demand.signal]);
  const tree = await trees.obtain(pinned, { ...demand, signal: ended });
  signal.throwIfAborted();
  if (tree.kind === "there") return tree.source;
  const reason = "message" in tree ? tree.message : "others need the place to fetch it";
  return { kind: "not-made", reason };
}

async function storeAll(
  { slices, thread, work, by }: Run,
  { pinned, system }: WantedIndex,
  { store, now }: MakingOptions,
) {
  const packed: Uint8Array[] = [];
  for await (const slice of slices.all()) packed.push(slice);
  const of = { pin: pinned.pin, system, madeAtMs: now(), left: work.left, attributes: work.done };
  const { root, objects, packages, unexplained } = await thread.assemble(packed, of);
  for (const { bytes } of objects) await storeIndexObject(store, bytes);
  await storeRoot(store, { root, askedBy: by });
  await slices.removeAll();
  return { kind: "made" as const, root, packages, unexplained };
}
