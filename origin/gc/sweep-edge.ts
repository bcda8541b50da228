// An edge lets go what its origin has let go: lookups, records, and blobs that nothing names any more which it
// keeps. What it keeps by itself, pointers and manifests with all that they name, stays: of pulls of these its
// origin does not hear.

import type { EdgeStore, EdgeValue } from "../../registry/between/stored-values.ts";
import type { EdgeClient } from "../backfill/edge-client.ts";
import { pagesOfEdge } from "../fsck/check-edge.ts";
import { removeFromEdge } from "../fsck/repair-edge.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { listedKey, parseStorageKey, type StorageKey } from "../storage/keys.ts";
import { isYoung, type Rules } from "./rules.ts";

export type SweptEdge = Pick<EdgeClient, "url" | "askValues" | "postRemovals">;

export interface SweepEdgeOptions {
  readonly edge: SweptEdge;
  readonly store: Pick<BlobStore, "sizeBytes">;
  readonly rules: Rules;
  /** What the origin's own storage has lost, or would lose. */
  readonly gone: ReadonlySet<StorageKey>;
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

/** By folder, such as `r2/blobs`. */
export type SweptFolders = Readonly<
  Record<string, { readonly values: number; readonly bytes: number }>
>;

/** Throws NotTold where the edge does not answer. */
export async function sweepEdge(options: SweepEdgeOptions): Promise<SweptFolders> {
  const { edge, rules, isDryRun, signal } = options;
  const named = new Set<string>();
  const removals: Record<EdgeStore, string[]> = { kv: [], r2: [] };
  const folders: Record<string, { values: number; bytes: number }> = {};
  const unnamed: EdgeValue[] = [];

  function remove(store: EdgeStore, { key, sizeBytes }: EdgeValue): void {
    removals[store].push(key);
    const folder = `${store}/${key.split("/")[0]}`;
    const { values, bytes } = folders[folder] ?? { values: 0, bytes: 0 };
    folders[folder] = { values: values + 1, bytes: bytes + sizeBytes };
  }

  for await (const { store, values } of pagesOfEdge(edge, "documents", signal)) {
    for (const value of values) {
      if (mayGoUnnamed(store, value, rules)) unnamed.push(value);
      else if (await isLetGo(options, store, value)) remove(store, value);
      else for (const { key } of value.names) named.add(key);
    }
  }
  for (const value of unnamed) {
    const isNeeded = named.has(value.key) || (await isAtOrigin(options, value));
    if (!isNeeded) remove("r2", value);
  }
  if (!isDryRun) await removeFromEdge(edge, removals);
  return folders;
}

/** Blobs, marks of outputs, uploads that nobody finished; unless another may be about to name them. */
function mayGoUnnamed(
  store: EdgeStore,
  { key, storedAtMs, state }: EdgeValue,
  rules: Rules,
): boolean {
  if (store === "kv" || storedAtMs === null || isYoung(rules, storedAtMs)) return false;
  return state === "unfinished" || key.startsWith("blobs/") || key.startsWith("outputs/");
}

/** The origin has them before its edge, and others of its storage may have stored them since. */
async function isLetGo(
  options: SweepEdgeOptions,
  store: EdgeStore,
  value: EdgeValue,
): Promise<boolean> {
  const isOurs = value.collection === "lookups" || value.collection === "records";
  return store === "kv" && isOurs && value.state === "whole" && !(await isAtOrigin(options, value));
}

async function isAtOrigin(
  { store, gone }: SweepEdgeOptions,
  { collection, name }: EdgeValue,
): Promise<boolean> {
  const key = `${collection}/${name}`;
  if (collection === null || parseStorageKey(key) === undefined) return false;
  if (gone.has(listedKey(key))) return false;
  return (await store.sizeBytes(listedKey(key))) !== undefined;
}
