// Walks from a list of store paths along their references, as a binary cache has them: what is
// counted of nixpkgs, or of a set that is not realised, comes from here.

import type { StorePath } from "../../registry/naming/store-path.ts";
import type { BinaryCache } from "./binary-cache.ts";
import type { Narinfo } from "./narinfo.ts";
import type { NarinfoJournal } from "./narinfo-journal.ts";
import { PopularityProblem } from "./problem.ts";

export interface CrawlProgress {
  /** Grows while references lead to paths that are not in the list. */
  readonly known: number;
  readonly read: number;
  /** The cache does not have them. */
  readonly absent: number;
  /** It did not answer in spite of repeats, or with something else. */
  readonly failed: number;
}

export interface CrawlOptions {
  readonly cache: BinaryCache;
  readonly journal: NarinfoJournal;
  readonly listed: readonly StorePath[];
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Called for each path that is in the cache, once. */
  readonly onNarinfo: (narinfo: Narinfo) => void;
  readonly onProgress?: (progress: CrawlProgress) => void;
}

/** A cache that is gone is told from single files that are broken. */
const MAX_FAILURES_IN_A_ROW = 20;
/** Twenty times nixpkgs: a cache that makes up references must not fill the memory. */
const MAX_PATHS = 2_000_000;

/** Throws when the cache seems to be gone, or with the signal's reason. */
export async function crawl(options: CrawlOptions): Promise<CrawlProgress> {
  const { cache, journal, listed, concurrency, signal, onNarinfo, onProgress } = options;
  const known = new Set<StorePath>(listed);
  const waiting = [...known];
  const tally = { read: 0, absent: 0, failed: 0 };
  let failedInARow = 0;

  async function visit(path: StorePath): Promise<void> {
    const remembered = journal.lookup(path);
    const answer =
      remembered === undefined
        ? await cache.narinfo(path, signal)
        : ({ kind: "found", narinfo: remembered } as const);
    if (answer.kind === "failed") {
      tally.failed += 1;
      failedInARow += 1;
      if (failedInARow >= MAX_FAILURES_IN_A_ROW) throw new PopularityProblem(answer.reason);
      return;
    }
    // The journal answers though the cache be gone.
    if (remembered === undefined) failedInARow = 0;
    if (answer.kind === "absent") {
      tally.absent += 1;
      return;
    }
    tally.read += 1;
    const { narinfo } = answer;
    if (remembered === undefined) journal.append(narinfo);
    onNarinfo(narinfo);
    for (const reference of narinfo.references) {
      if (known.has(reference) || known.size >= MAX_PATHS) continue;
      known.add(reference);
      waiting.push(reference);
    }
  }

  const progress = () => ({ known: known.size, ...tally });
  await eachConcurrently(waiting, concurrency, async (path) => {
    signal.throwIfAborted();
    await visit(path);
    onProgress?.(progress());
  });
  return progress();
}

/** Also the items that are added meanwhile. The first error ends it, after what is under way. */
async function eachConcurrently<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (let next = 0; failures.length === 0 && (next < items.length || running.size > 0); ) {
    if (next < items.length && running.size < concurrency) {
      const task: Promise<void> = work(items[next++] as T)
        .catch((error) => void failures.push(error))
        .finally(() => running.delete(task));
      running.add(task);
    } else {
      await Promise.race(running);
    }
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
