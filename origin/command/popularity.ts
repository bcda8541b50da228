// `nixport popularity`: counts how many need each package, which decides what layers of its own has,
// and writes the counts as a file that the origin reads.

import { createHash, randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { formatPopularity } from "../layers/popularity.ts";
import { openBinaryCache } from "../popularity/binary-cache.ts";
import { crawl } from "../popularity/crawl.ts";
import { openNarinfoJournal } from "../popularity/narinfo-journal.ts";
import { readStorePathList } from "../popularity/store-path-list.ts";
import { statePathOf } from "./local-environment.ts";
import { UsageError } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const DEFAULT_CACHE = "https://cache.nixos.org";
const DEFAULT_CONCURRENCY = 32;

const HELP = `usage: npm run nixport -- popularity --store-paths <file|url> [options]

Reads what every store path of a list refers to from a binary cache, and counts the references to
each package. A channel of nixpkgs publishes its list as
https://channels.nixos.org/<channel>/store-paths.xz.

  --store-paths <file|url>  the list, one store path a line, plain or xz
  --cache <url>             the binary cache (${DEFAULT_CACHE})
  --concurrency <n>         requests at a time (${DEFAULT_CONCURRENCY})
  --out <file>              where the JSON goes; standard output without it

What the cache has answered is kept in NIXPORT_STATE (.nixport), so that a run that was stopped goes
on where it was. What it does not have is left out of the counts, and said at the end.
`;

export const popularity: Subcommand = {
  summary: "count how many need each package, for layers that images share",
  help: HELP,
  run: async (args, context) => {
    const options = parseOptions(args);
    const text = await countReferences(options, context);
    if (options.out === undefined) process.stdout.write(text);
    else await writeWhole(options.out, text);
  },
};

interface Options {
  readonly storePaths: string;
  readonly cache: string;
  readonly concurrency: number;
  readonly out: string | undefined;
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "store-paths": { type: "string" },
      cache: { type: "string", default: DEFAULT_CACHE },
      concurrency: { type: "string", default: String(DEFAULT_CONCURRENCY) },
      out: { type: "string" },
    },
  });
  const { cache, out, "store-paths": storePaths } = values;
  if (storePaths === undefined) throw new UsageError("popularity needs --store-paths");
  if (!URL.canParse(cache) || !/^https?:/.test(cache)) {
    throw new UsageError(`--cache is ${JSON.stringify(cache)}: an http or https URL is needed`);
  }
  const concurrency = Number(values.concurrency);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    const given = JSON.stringify(values.concurrency);
    throw new UsageError(`--concurrency is ${given}: a whole number from 1 to 256 is needed`);
  }
  return { storePaths, cache, concurrency, out };
}

async function countReferences(options: Options, { env, signal }: CommandContext): Promise<string> {
  const { cache, concurrency } = options;
  const listed = await readStorePathList(options.storePaths, {
    ...{ env: { PATH: env.PATH ?? "" }, signal },
  });
  const id = createHash("sha256").update(cache).digest("hex").slice(0, 16);
  const journal = await openNarinfoJournal(join(statePathOf(env), "narinfo", `${id}.jsonl`));
  const bar = showProgress(process.stderr, "narinfo files", Date.now);
  try {
    const { progress, counter } = await crawl({
      ...{ cache: openBinaryCache({ url: cache }), journal, listed, concurrency, signal },
      onProgress: ({ known, read, absent, failed }) =>
        bar.update(read + absent + failed, known, describeGaps(absent, failed)),
    });
    bar.end();
    const counts = counter.byPackage();
    const { known, read, absent, failed } = progress;
    const gaps = describeGaps(absent, failed);
    process.stderr.write(
      `references of ${read} of ${known} store paths${gaps && ` (${gaps}, left out)`}: ${counts.size} packages\n`,
    );
    return formatPopularity("references", read, counts);
  } finally {
    bar.end();
    await journal.close();
  }
}

function describeGaps(absent: number, failed: number): string {
  const gaps = [absent > 0 && `${absent} not in the cache`, failed > 0 && `${failed} unreadable`];
  return gaps.filter((gap) => gap !== false).join(", ");
}

/** A reader of the file never sees half of it. */
async function writeWhole(file: string, text: string): Promise<void> {
  const path = resolve(file);
  const beside = `${path}.${randomUUID()}`;
  try {
    await writeFile(beside, text);
    await rename(beside, path);
  } finally {
    await rm(beside, { force: true });
  }
}
