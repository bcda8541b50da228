// `nixport gc`: takes away what an origin has stored and nobody has pulled for long, and keeps the list of
// images that stay whether anybody pulls them or not.

import { parseArgs } from "node:util";
import { createEdgeClient } from "../backfill/edge-client.ts";
import type { Config } from "../configuration/config.ts";
import type { Subject } from "../doctor/subject.ts";
import { type Collected, collect } from "../gc/collect.ts";
import { formatCollected } from "../gc/page.ts";
import { DEFAULT_GRACE_MS, type Rules } from "../gc/rules.ts";
import { createLog } from "../log/log.ts";
import { collectStore } from "../nix/collect-store.ts";
import { imageName, pinImage, pinnedImages, unpinImage } from "../pulled/pinned-images.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { openStorage } from "../storage/open-storage.ts";
import { parseByteCount, parseDuration } from "../words/quantities.ts";
import { fail, UsageError } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";
import { storedConfig, withSubject } from "./with-subject.ts";

const HELP = `usage: npm run nixport -- gc [--keep <duration>] [--max-bytes <size>] [--store] [--dry-run] [--json]
       npm run nixport -- gc --pin <image> | --unpin <image> | --pinned

Takes away all that no image needs which was pulled lately, from what the origin has stored, as the
environment configures it for npm run origin: manifests, configs, layers and what is remembered of them,
records, lookups, names, revisions; and the same at its edge, which tells of the pulls that it answers. What goes
is made again for whoever asks, with the same digest. Origins may serve meanwhile. Exit code 1: it could not be
done. 2: bad usage.

  --keep <duration>   images that were pulled within this time stay: 12h, 90m; 30d, unless
                      NIXPORT_GC_KEEP_DAYS says otherwise
  --max-bytes <size>  of these, drop the ones pulled longest ago until the rest fits: 50GB, 10GiB
                      (NIXPORT_GC_MAX_BYTES)
  --grace <duration>  what was written or pulled within this time stays in any case (1d). Less than two
                      hours is for a storage of which no origin serves
  --store             then run Nix's own collector: what no root holds goes, of which origins have some for
                      what they build and for their package sets
  --dry-run           only say what would go
  --json              an object with collections, images, bytes, edge and nixStore

  --pin <image>       keep an image at what its tag led to when it was pulled last: shell/git,
                      git:nixos-25.05, or under a digest: git@sha256:… The list lies in the storage
  --unpin <image>     no longer
  --pinned            print the list
`;

const OPTIONS = {
  keep: { type: "string" },
  "max-bytes": { type: "string" },
  grace: { type: "string" },
  "dry-run": { type: "boolean", default: false },
  store: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  pin: { type: "string", multiple: true },
  unpin: { type: "string", multiple: true },
  pinned: { type: "boolean", default: false },
} as const;

export const gc: Subcommand = {
  summary: "take away what is stored and nobody has pulled for long",
  help: HELP,
  run: async (args, context) => {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    const pins = { add: values.pin?.map(namedImage), remove: values.unpin?.map(namedImage) };
    const limits = limitsIn(values);
    const isOfList = values.pinned || pins.add !== undefined || pins.remove !== undefined;
    const said = await withSubject(context, "gc", async (subject) => {
      const stored = await openStored(subject);
      if (isOfList) return await changePinned(stored.store, pins);
      const isDryRun = values["dry-run"];
      const collected = await withProgress(stored, limits, isDryRun, context);
      const nixStore = values.store ? await collectNix(subject, isDryRun, context) : null;
      return values.json
        ? `${JSON.stringify({ ...collected, nixStore }, null, 2)}\n`
        : formatCollected(collected, isDryRun) + (nixStore === null ? "" : `store: ${nixStore}\n`);
    });
    process.stdout.write(said);
  },
};

interface Stored {
  readonly config: Config;
  readonly store: BlobStore;
  readonly isEdgeAssumed: boolean;
}

interface Said {
  readonly keep?: string;
  readonly grace?: string;
  readonly "max-bytes"?: string;
}

interface Limits {
  readonly keepMs: number | undefined;
  readonly graceMs: number | undefined;
  readonly maxBytes: number | undefined;
}

/** Before anything is opened: what they leave open the configuration says. */
function limitsIn(values: Said): Limits {
  const { keep, grace, "max-bytes": maxBytes } = values;
  return {
    keepMs: read("keep", keep, parseDuration, "a duration, such as 30d"),
    graceMs: read("grace", grace, parseDuration, "a duration, such as 1d"),
    maxBytes: read("max-bytes", maxBytes, parseByteCount, "a size, such as 50GB"),
  };
}

function rulesOf({ keepMs, graceMs, maxBytes }: Limits, { gcKeepMs, gcMaxBytes }: Config): Rules {
  return {
    keepMs: keepMs ?? gcKeepMs,
    graceMs: graceMs ?? DEFAULT_GRACE_MS,
    maxBytes: maxBytes ?? gcMaxBytes,
    nowMs: Date.now(),
  };
}

function read(
  option: string,
  text: string | undefined,
  parse: (text: string) => number | undefined,
  what: string,
): number | undefined {
  const value = text === undefined ? undefined : parse(text);
  if (text !== undefined && value === undefined) {
    throw new UsageError(`--${option} is ${JSON.stringify(text)}: ${what} is needed`);
  }
  return value;
}

function namedImage(text: string): string {
  const name = imageName(text);
  if (name !== undefined) return name;
  throw new UsageError(`${JSON.stringify(text)} is no image: shell/git, git:tag or git@sha256:…`);
}

async function openStored(subject: Subject): Promise<Stored> {
  const config = storedConfig(subject);
  const options = { now: Date.now, log: createLog({ ...config.logStyle, level: "warn" }) };
  const { store } = await openStorage(config, options);
  return { config, store, isEdgeAssumed: subject.isEdgeAssumed };
}

async function collectNix(
  subject: Subject,
  isDryRun: boolean,
  { signal }: CommandContext,
): Promise<string> {
  const found = await subject.findNix();
  if (found.kind !== "found") fail("no Nix that can be used: its store is as it was");
  const collected = await collectStore(found.nix, isDryRun, signal);
  if (collected.kind === "failed") fail(`Nix's collector failed: ${collected.reason}`);
  return collected.said;
}

interface PinChanges {
  readonly add: readonly string[] | undefined;
  readonly remove: readonly string[] | undefined;
}

/** And says what it is then. */
async function changePinned(store: BlobStore, { add, remove }: PinChanges): Promise<string> {
  for (const image of add ?? []) await pinImage(store, image);
  for (const image of remove ?? []) await unpinImage(store, image);
  const pinned = await pinnedImages(store);
  const lines = pinned.map(({ image, known }) =>
    known.length === 0 ? `${image} (from its next pull on)` : image,
  );
  return lines.length === 0 ? "no image is pinned\n" : `${lines.sort().join("\n")}\n`;
}

async function withProgress(
  { config, store, isEdgeAssumed }: Stored,
  limits: Limits,
  isDryRun: boolean,
  { signal }: CommandContext,
): Promise<Collected> {
  const { edgeUrl, secretKeys } = config;
  const edge =
    edgeUrl === null ? null : createEdgeClient({ url: edgeUrl, secretKeys, now: Date.now, signal });
  const progress = showProgress(process.stderr, "values taken away:", Date.now);
  const onSwept = (done: number, of: number) => progress.update(done, of, "");
  try {
    const rules = rulesOf(limits, config);
    const collected = await collect({ store, rules, edge, isDryRun, onSwept, signal });
    // Of a machine whose origin never had an edge beside it.
    const isMissed = collected.edge !== null && "notTold" in collected.edge && isEdgeAssumed;
    return isMissed ? { ...collected, edge: null } : collected;
  } finally {
    progress.end();
  }
}
