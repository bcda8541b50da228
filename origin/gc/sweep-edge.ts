// An edge lets go what its origin has let go: lookups, records, package indexes, and what it keeps of images that nobody has
// pulled for long, pointers, manifests and pins of tags; and then what nothing names any more.

import type { EdgeStore, EdgeValue } from "../../registry/between/stored-values.ts";
import type { EdgeClient } from "../backfill/edge-client.ts";
import { pagesOfEdge } from "../fsck/check-edge.ts";
import { removeFromEdge } from "../fsck/repair-edge.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { listedKey, parseStorageKey, type StorageKey } from "../storage/keys.ts";
import { overEach } from "../storage/over-each.ts";
import { createEdgeAnswers } from "./edge-answers.ts";
import type { Answers } from "./mark.ts";
import { isYoung, type Rules } from "./rules.ts";

export type SweptEdge = Pick<EdgeClient, "url" | "askValues" | "postRemovals">;

export interface SweepEdgeOptions {
  readonly edge: SweptEdge;
  readonly store: Pick<BlobStore, "sizeBytes">;
  readonly rules: Rules;
  /** What the origin's own storage had when it was listed: of that it is not asked once more. */
  readonly inventory: { has(key: StorageKey): boolean };
  /** What it has lost since, or would lose. */
  readonly gone: ReadonlySet<StorageKey>;
  /** Of the images that stay. */
  readonly answers: Answers;
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

/** By folder, such as `r2/blobs`. */
export type SweptFolders = Readonly<
  Record<string, { readonly values: number; readonly bytes: number }>
>;

interface Removal {
  readonly store: EdgeStore;
  readonly value: Pick<EdgeValue, "key" | "sizeBytes">;
}

/** Throws NotTold where the edge does not answer. */
export async function sweepEdge(options: SweepEdgeOptions): Promise<SweptFolders> {
  const { edge, rules, answers, isDryRun, signal } = options;
  const kept = createEdgeAnswers();
  const named = new Set<string>();
  const letGo: Removal[] = [];
  const unnamed: { readonly store: EdgeStore; readonly value: EdgeValue }[] = [];
  for await (const { store, values } of pagesOfEdge(edge, "documents", signal)) {
    await overEach(values, async (value) => {
      if (kept.take(store, value)) return;
      if (mayGoUnnamed(store, value, rules)) unnamed.push({ store, value });
      else if (await isLetGo(options, store, value)) letGo.push({ store, value });
      else for (const { key } of value.names) named.add(key);
    });
  }
  const judged = kept.judge(rules, answers);
  // Roots of package indexes, lookups, then records: so they are called.
  letGo.sort((a, b) => (a.value.key < b.value.key ? -1 : 1));
  const removals = [...judged.unneeded, ...letGo];
  await overEach(unnamed, async ({ store, value }) => {
    const isNamed = named.has(value.key) || judged.named.has(value.key);
    if (!isNamed && !(await isAtOrigin(options, value))) removals.push({ store, value });
  });
  if (!isDryRun) await removeInOrder(options, removals);
  return countFolders(removals);
}

/**
 * Blobs, marks of outputs, uploads that nobody finished; unless another may be about to name them. Of objects
 * of an index, which KV tells no time of, those go that the origin has no more: it has them before its edge.
 */
function mayGoUnnamed(
  store: EdgeStore,
  { key, storedAtMs, state, collection }: EdgeValue,
  rules: Rules,
): boolean {
  if (store === "kv") return collection === "index-objects";
  if (storedAtMs === null || isYoung(rules, storedAtMs)) return false;
  return state === "unfinished" || key.startsWith("blobs/") || key.startsWith("outputs/");
}

/** The origin has them before its edge, and others of its storage may have stored them since. */
async function isLetGo(
  options: SweepEdgeOptions,
  store: EdgeStore,
  value: EdgeValue,
): Promise<boolean> {
  const isOurs = ["lookups", "records", "index"].some((each) => each === value.collection);
  return store === "kv" && isOurs && value.state === "whole" && !(await isAtOrigin(options, value));
}

async function isAtOrigin(
  { store, inventory, gone }: SweepEdgeOptions,
  { collection, name }: EdgeValue,
): Promise<boolean> {
  const key = `${collection}/${name}`;
  if (collection === null || parseStorageKey(key) === undefined) return false;
  if (gone.has(listedKey(key))) return false;
  if (inventory.has(listedKey(key))) return true;
  return (await store.sizeBytes(listedKey(key))) !== undefined;
}

/** What was stored again since it was looked at stays: whoever did so names it next. */
async function removeInOrder(
  { edge, rules, signal }: SweepEdgeOptions,
  removals: readonly Removal[],
): Promise<void> {
  const storedBeforeMs = rules.nowMs - rules.graceMs;
  let rest = removals;
  while (rest.length > 0) {
    signal.throwIfAborted();
    const [first] = rest;
    const end = rest.findIndex(({ store }) => store !== first?.store);
    const keys = rest.slice(0, end < 0 ? rest.length : end).map(({ value }) => value.key);
    const none: Record<EdgeStore, readonly string[]> = { kv: [], r2: [] };
    const some = first === undefined ? none : { ...none, [first.store]: keys };
    await removeFromEdge(edge, some, storedBeforeMs);
    rest = rest.slice(keys.length);
  }
}

function countFolders(removals: readonly Removal[]): SweptFolders {
  const folders: Record<string, { values: number; bytes: number }> = {};
  for (const { store, value } of removals) {
    const folder = `${store}/${value.key.split("/")[0]}`;
    const { values, bytes } = folders[folder] ?? { values: 0, bytes: 0 };
    folders[folder] = { values: values + 1, bytes: bytes + value.sizeBytes };
  }
  return folders;
}
