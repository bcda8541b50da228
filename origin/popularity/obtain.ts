// Which popularity data the origin uses, decided once at each start: the file that Nixery's variable
// names, else the one that a local package set carries, else what was counted of the set at an
// earlier start, else what can be counted of it now.
//
// The data are part of the packing id, so that other data are other layers. Therefore nothing
// replaces them while the origin runs, and what was counted is kept though the set's pin moves on.

import { join } from "node:path";
import { LATEST } from "../../registry/reference.ts";
import {
  type CountKind,
  formatPopularity,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../layers/popularity.ts";
import type { Log } from "../log.ts";
import type { PinnedTag, Pins } from "../sources/pins.ts";
import { type Source, sourceId } from "../sources/source.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { readDataFile, readDataOf } from "./data-file.ts";
import { PopularityProblem } from "./problem.ts";
import type { CountedSet } from "./small-set.ts";

export interface ObtainOptions {
  readonly url: string | null;
  readonly source: Source;
  /** For how long what was counted is used; null is for ever. */
  readonly refreshMs: number | null;
  readonly pins: Pick<Pins, "resolve">;
  readonly store: Pick<BlobStore, "lookup" | "store">;
  readonly countSet: (pinned: PinnedTag) => Promise<CountedSet>;
  readonly log: Log;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Throws with what is wrong: layers cut without the data asked for would have to be cut again. */
export async function obtainPopularity(options: ObtainOptions): Promise<Popularity> {
  const { url, source } = options;
  if (url !== null) return await readOrRecall(url, options);
  const own = await readOwn(source);
  if (own !== undefined) return parsed(own, "the package set", "closures");
  if (source.kind === "nixpkgs") return NO_POPULARITY;
  return await recallOrCount(options);
}

/** The data that a set carries itself. */
export async function readOwn(source: Source): Promise<string | undefined> {
  return source.kind === "path" ? readDataFile(join(source.path, "popularity.json")) : undefined;
}

/** A start does not depend on the URL's server, once it has answered. */
async function readOrRecall(url: string, { store, log, signal }: ObtainOptions) {
  const key = storageKey.popularity(url);
  try {
    const text = await readDataOf(url, signal);
    const popularity = parsed(text, url);
    await store.store(key, Buffer.from(text));
    return popularity;
  } catch (error) {
    const kept = await store.lookup(key);
    if (!(error instanceof PopularityProblem) || kept === undefined) throw error;
    log.warn({ reason: error.message }, "popularity data kept from an earlier start");
    return parsed(Buffer.from(kept).toString(), url);
  }
}

async function recallOrCount(options: ObtainOptions): Promise<Popularity> {
  const { source, refreshMs, store, log, now } = options;
  const key = keyOf(source);
  const text = await recallCounted(store, source);
  const kept = text === undefined ? undefined : parsePopularity(text, "closures");
  const known = kept?.kind === "popularity" ? kept : undefined;
  const isDue = refreshMs !== null && now() - (known?.countedAtMs ?? 0) >= refreshMs;
  if (known !== undefined && !isDue) return known.popularity;

  log.info("counting what the set's packages share");
  const counted = await countLatest(options);
  switch (counted.kind) {
    case "counted": {
      const data = formatPopularity(counted.data, now());
      await store.store(key, Buffer.from(data));
      log.info({ packages: counted.data.counted }, "counted what the set's packages share");
      return parsed(data, "the package set");
    }
    case "too-large":
      log.info({ reason: counted.reason }, "no popularity data: the set is too large to count");
      // The next starts need not find out again.
      if (known === undefined) await store.store(key, Buffer.from(formatPopularity(null, now())));
      break;
    case "failed":
      log.warn({ reason: counted.reason }, "no popularity data: the set cannot be counted");
      break;
    default:
      return counted satisfies never;
  }
  return known?.popularity ?? NO_POPULARITY;
}

/** What was counted of a source at an earlier start, as a file has it. */
export async function recallCounted(
  store: Pick<BlobStore, "lookup">,
  source: Source,
): Promise<string | undefined> {
  const bytes = await store.lookup(keyOf(source));
  return bytes && Buffer.from(bytes).toString();
}

/** Of the source, whatever `latest` is called there: a move to another branch changes no layers. */
function keyOf(source: Source): StorageKey {
  const { kind } = source;
  const lasting = kind === "git" || kind === "flake" ? { kind, url: source.url } : source;
  return storageKey.popularity(sourceId(lasting));
}

async function countLatest({ pins, countSet }: ObtainOptions): Promise<CountedSet> {
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
