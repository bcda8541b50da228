// Which popularity data the origin uses, decided once at each start: the file that Nixery's
// variable names, else the one that a package set carries, else what was counted of the set at an
// earlier start, else what can be counted of it now.
//
// The data are part of the packing id, so that other data are other layers. Therefore nothing
// replaces them while the origin runs, and what was counted is kept though the set's pin moves on.

import { join } from "node:path";
import { parseDigest } from "../../registry/naming/digest.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import {
  type CountKind,
  formatPopularity,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../layers/popularity.ts";
import type { Log } from "../log/log.ts";
import type { PinnedTag, Pins } from "../sources/pins.ts";
import { type Source, sourceId } from "../sources/source.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { readStoredText, storedText } from "../storage/stored-json.ts";
import { readDataFile, readDataOf } from "./data-file.ts";
import { PopularityProblem } from "./problem.ts";
import type { CountedSet } from "./small-set.ts";

export interface ObtainOptions {
  readonly url: string | null;
  readonly source: Source;
  /** For how long what was counted is used; null is for ever. */
  readonly refreshMs: number | null;
  readonly pins: Pick<Pins, "resolve" | "carriedPopularity">;
  readonly store: Pick<BlobStore, "create" | "lookup" | "store" | "remove">;
  readonly countSet: (pinned: PinnedTag) => Promise<CountedSet>;
  readonly log: Log;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Throws with what is wrong: layers cut without the data asked for would have to be cut again. */
export async function obtainPopularity(options: ObtainOptions): Promise<Popularity> {
  const { url, source } = options;
  if (url !== null) return await readOrRecall(url, options);
  if (source.kind === "nixpkgs") return NO_POPULARITY;
  const own = source.kind === "path" ? await readOwn(source) : await carriedOrKept(options);
  switch (own.kind) {
    case "read":
      return parsed(own.text, "the package set", "closures");
    case "none":
      return await recallOrCount(options, () => countLatest(options));
    case "failed":
      return await recallOrCount(options, async () => own);
    default:
      return own satisfies never;
  }
}

/** Has the data among the blobs, where whoever builds the same layers finds them by their id. */
export async function offerPopularity(
  { id, text }: Popularity,
  store: Pick<BlobStore, "create">,
): Promise<void> {
  const digest = parseDigest(`sha256:${id}`);
  if (text === null || digest === undefined) return;
  await store.create(storageKey.layer(digest), Buffer.from(text));
}

type Own =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "none" }
  /** The source does not say: what was counted earlier holds, and nothing is counted now. */
  | { readonly kind: "failed"; readonly reason: string };

/** The data beside a local set, as they are now. */
async function readOwn({ path }: Extract<Source, { kind: "path" }>): Promise<Own> {
  const text = await readDataFile(join(path, "popularity.json"));
  return text === undefined ? { kind: "none" } : { kind: "read", text };
}

/** As with a URL, a start does not depend on the source, nor on what was last put there. */
async function carriedOrKept(options: ObtainOptions): Promise<Own> {
  const { source, store, log } = options;
  const key = storageKey.popularity(`carried by ${lastingId(source)}`);
  const carried = await readCarried(options);
  if (carried.kind === "read") await store.store(key, storedText(carried.text));
  if (carried.kind === "none") await store.remove(key);
  if (carried.kind === "read" || carried.kind === "none") return carried;
  const kept = await recallText(store, key);
  if (kept !== undefined) {
    log.warn({ reason: carried.reason }, "popularity data kept from an earlier start");
    return { kind: "read", text: kept };
  }
  if (carried.kind === "invalid") throw new PopularityProblem(carried.reason);
  return carried;
}

async function readCarried({
  pins,
}: ObtainOptions): Promise<Own | { readonly kind: "invalid"; readonly reason: string }> {
  const pinned = await pins.resolve(LATEST);
  if (pinned.kind !== "pinned") return { kind: "failed", reason: pinned.message };
  const carried = await pins.carriedPopularity(pinned);
  if (carried.kind === "failed") return carried;
  if (carried.text === null) return { kind: "none" };
  const text = readStoredText(Buffer.from(carried.text)) ?? "";
  const result = parsePopularity(text);
  if (result.kind === "popularity") return { kind: "read", text };
  return { kind: "invalid", reason: `the popularity data of the package set ${result.reason}` };
}

/** A start does not depend on the URL's server, once it has answered. */
async function readOrRecall(url: string, { store, log, signal }: ObtainOptions) {
  const key = storageKey.popularity(url);
  try {
    const text = await readDataOf(url, signal);
    const popularity = parsed(text, url);
    await store.store(key, storedText(text));
    return popularity;
  } catch (error) {
    const kept = await recallText(store, key);
    if (!(error instanceof PopularityProblem) || kept === undefined) throw error;
    log.warn({ reason: error.message }, "popularity data kept from an earlier start");
    return parsed(kept, url);
  }
}

async function recallOrCount(
  options: ObtainOptions,
  count: () => Promise<CountedSet>,
): Promise<Popularity> {
  const { source, refreshMs, store, log, now } = options;
  const key = keyOf(source);
  const text = await recallText(store, key);
  const kept = text === undefined ? undefined : parsePopularity(text, "closures");
  const known = kept?.kind === "popularity" ? kept : undefined;
  const isDue = refreshMs !== null && now() - (known?.countedAtMs ?? 0) >= refreshMs;
  if (known !== undefined && !isDue) return known.popularity;

  const counted = await count();
  switch (counted.kind) {
    case "counted": {
      const own = formatPopularity(counted.data, now());
      const data = known === undefined ? await keepFirst(store, key, own) : own;
      if (known !== undefined) await store.store(key, storedText(own));
      log.info({ packages: counted.data.counted }, "counted what the set's packages share");
      return parsed(data, "the package set");
    }
    case "too-large":
      log.info({ reason: counted.reason }, "no popularity data: the set is too large to count");
      // The next starts need not find out again.
      if (known === undefined) await store.store(key, storedText(formatPopularity(null, now())));
      break;
    case "failed":
      log.warn({ reason: counted.reason }, "no popularity data: the set cannot be counted");
      break;
    default:
      return counted satisfies never;
  }
  return known?.popularity ?? NO_POPULARITY;
}

/**
 * Of origins that share a storage and count at once, perhaps at other revisions, one is agreed with: other
 * data are other layers.
 */
async function keepFirst(
  store: Pick<BlobStore, "create" | "lookup" | "store">,
  key: StorageKey,
  own: string,
): Promise<string> {
  const bytes = storedText(own);
  if (await store.create(key, bytes)) return own;
  const first = await recallText(store, key);
  // Damaged, it is what this one was counted for.
  if (first === undefined) await store.store(key, bytes);
  return first ?? own;
}

/** As it was read or counted at an earlier start: with a digit changed it would be other layers. */
async function recallText(
  store: Pick<BlobStore, "lookup">,
  key: StorageKey,
): Promise<string | undefined> {
  const bytes = await store.lookup(key);
  return bytes && readStoredText(bytes);
}

function keyOf(source: Source): StorageKey {
  return storageKey.popularity(lastingId(source));
}

/** Of the source, whatever `latest` is called there: a move to another branch changes no layers. */
function lastingId(source: Source): string {
  const { kind } = source;
  return sourceId(kind === "git" || kind === "flake" ? { kind, url: source.url } : source);
}

async function countLatest({ pins, countSet, log }: ObtainOptions): Promise<CountedSet> {
  log.info("counting what the set's packages share");
  const pinned = await pins.resolve(LATEST);
  return pinned.kind === "pinned"
    ? await countSet(pinned)
    : { kind: "failed", reason: pinned.message };
}

function parsed(text: string, from: string, counts?: CountKind): Popularity {
  const result = parsePopularity(text, counts);
  if (result.kind === "popularity") return result.popularity;
  throw new PopularityProblem(`the popularity data of ${from} ${result.reason}`);
}
