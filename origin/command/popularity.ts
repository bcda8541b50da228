// `nixport popularity`: counts how many need each package, which decides what has layers of its
// own, and writes the counts as a file that the origin reads.

import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { readConfig } from "../configuration/config.ts";
import { formatPopularity, type PopularityData } from "../layers/popularity.ts";
import { describeSource, isCommit } from "../sources/source.ts";
import { localEnvironment } from "./local-environment.ts";
import { countReferences } from "./popularity-list.ts";
import { countSet, type SetOptions } from "./popularity-set.ts";
import { fail, UsageError, wrongConfiguration } from "./process.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const NIXPKGS_CACHE = "https://cache.nixos.org";
const DEFAULT_CONCURRENCY = 32;

const HELP = `usage: npm run nixport -- popularity [options]

Counts how many need each package, for the origin's NIX_POPULARITY_URL or as popularity.json at the top
of a package set. What is not known is left out of the counts, and said at the end.

  --out <file>              where the JSON goes; standard output without it
  --cache <url>             a binary cache whose .narinfo files say what store paths refer to
  --concurrency <n>         requests to it at a time (${DEFAULT_CONCURRENCY})

Of nixpkgs, all references between the store paths that a channel publishes:

  --store-paths <file|url>  the list, one store path a line, plain or xz; without it the one of the
                            channel in NIXERY_CHANNEL. --cache is ${NIXPKGS_CACHE} then

Of any other source that the environment configures, as for npm run origin, in how many packages'
closures each path is:

  --realise                 build or download what is missing; without it and without --cache only
                            packages that are realised count
  --derivations             what packages are built with in place of their closures: more than they
                            need, but known without realising. An origin without data counts this

Answers of a cache are kept in NIXPORT_STATE, so that a run that was stopped goes on where it was.
`;

export const popularity: Subcommand = {
  summary: "count how many need each package, for layers that images share",
  help: HELP,
  run: async (args, context) => {
    const options = parseOptions(args);
    const text = formatPopularity(await count(options, context));
    if (options.out === undefined) process.stdout.write(text);
    else await writeWhole(options.out, text);
  },
};

interface PopularityOptions extends SetOptions {
  readonly storePaths: string | undefined;
  readonly out: string | undefined;
}

function parseOptions(args: readonly string[]): PopularityOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "store-paths": { type: "string" },
      cache: { type: "string" },
      concurrency: { type: "string", default: String(DEFAULT_CONCURRENCY) },
      realise: { type: "boolean", default: false },
      derivations: { type: "boolean", default: false },
      out: { type: "string" },
    },
  });
  const { cache, realise, derivations, out, "store-paths": storePaths } = values;
  if (cache !== undefined && !(URL.canParse(cache) && /^https?:/.test(cache))) {
    throw new UsageError(`--cache is ${JSON.stringify(cache)}: an http or https URL is needed`);
  }
  const concurrency = Number(values.concurrency);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
    const given = JSON.stringify(values.concurrency);
    throw new UsageError(`--concurrency is ${given}: a whole number from 1 to 256 is needed`);
  }
  if (storePaths !== undefined && (realise || derivations)) {
    throw new UsageError("--store-paths counts a list, --realise and --derivations a package set");
  }
  if (derivations && (realise || cache !== undefined)) {
    throw new UsageError("--derivations needs nothing realised: without --realise and --cache");
  }
  return { storePaths, cache, concurrency, realise, derivations, out };
}

async function count(options: PopularityOptions, context: CommandContext): Promise<PopularityData> {
  const { storePaths, cache = NIXPKGS_CACHE } = options;
  if (storePaths !== undefined) return countReferences({ ...options, storePaths, cache }, context);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const env = await localEnvironment(context.env, say);
  context.signal.throwIfAborted();
  const read = readConfig(env);
  if (read.kind === "invalid") fail(wrongConfiguration(read.problems));
  const { source } = read.config;
  if (source.kind !== "nixpkgs") return countSet(options, read.config, { ...context, env });
  if (isCommit(source.channel) || options.realise || options.derivations) {
    throw new UsageError(`of ${describeSource(source)} only a list can be counted: --store-paths`);
  }
  const list = `https://channels.nixos.org/${source.channel}/store-paths.xz`;
  return countReferences({ ...options, storePaths: list, cache }, context);
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
