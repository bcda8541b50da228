// `nixport popularity` of a list of store paths: what a binary cache says of all of them.

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { EnvironmentVariables } from "../configuration/variables.ts";
import type { PopularityData } from "../layers/popularity.ts";
import { openBinaryCache } from "../popularity/binary-cache.ts";
import { createCounter } from "../popularity/counter.ts";
import { type CrawlProgress, crawl } from "../popularity/crawl.ts";
import type { Narinfo } from "../popularity/narinfo.ts";
import { openNarinfoJournal } from "../popularity/narinfo-journal.ts";
import { readStorePathList } from "../popularity/store-path-list.ts";
import { statePathOf } from "./local-environment.ts";
import { fail } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext } from "./subcommand.ts";

export interface ListedOptions extends CacheOptions {
  readonly storePaths: string;
}

export interface CacheOptions {
  readonly cache: string;
  readonly concurrency: number;
}

export async function countReferences(
  options: ListedOptions,
  { env, signal }: CommandContext,
): Promise<PopularityData> {
  const listed = await readStorePathList(options.storePaths, {
    ...{ env: { PATH: env.PATH ?? "" }, signal },
  });
  const counter = createCounter();
  const found = (narinfo: Narinfo) => counter.add(narinfo.references);
  const progress = await askCache(options, listed, found, { env, signal });
  const counts = counter.byPackage();
  const { known, read } = progress;
  if (read === 0) fail(`${options.cache} has none of ${known} store paths`);
  const gaps = describeGaps(progress);
  process.stderr.write(
    `references of ${read} of ${known} store paths${gaps && ` (${gaps}, left out)`}: ${counts.size} packages\n`,
  );
  return { kind: "references", counted: read, counts };
}

/** From the given paths on, everything they lead to; with a bar, and the state's journal. */
export async function askCache(
  { cache, concurrency }: CacheOptions,
  listed: readonly StorePath[],
  onNarinfo: (narinfo: Narinfo) => void,
  { env, signal }: { readonly env: EnvironmentVariables; readonly signal: AbortSignal },
): Promise<CrawlProgress> {
  const id = createHash("sha256").update(cache).digest("hex").slice(0, 16);
  const journal = await openNarinfoJournal(join(statePathOf(env), "narinfo", `${id}.jsonl`));
  const bar = showProgress(process.stderr, "narinfo files", Date.now);
  try {
    return await crawl({
      ...{ cache: openBinaryCache({ url: cache }), journal, listed, concurrency, signal },
      onNarinfo,
      onProgress: (progress) =>
        bar.update(
          progress.read + progress.absent + progress.failed,
          progress.known,
          describeGaps(progress),
        ),
    });
  } finally {
    bar.end();
    await journal.close();
  }
}

function describeGaps({ absent, failed }: CrawlProgress): string {
  const gaps = [absent > 0 && `${absent} not in the cache`, failed > 0 && `${failed} unreadable`];
  return gaps.filter((gap) => gap !== false).join(", ");
}
