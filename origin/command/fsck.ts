// `nixport fsck`: reads all that an origin and its edge have stored, says what is wrong with it, and has it
// mended.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { createEdgeClient } from "../backfill/edge-client.ts";
import type { Config } from "../configuration/config.ts";
import type { Subject } from "../doctor/subject.ts";
import type { OnChecked } from "../fsck/finding.ts";
import { lookAtEdge, lookAtOrigin } from "../fsck/look.ts";
import { type FsckReport, formatReport, problemOf } from "../fsck/page.ts";
import { openWorkshop, type Workshop } from "../fsck/workshop.ts";
import { createLog } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { openForReading, openStorage } from "../storage/open-storage.ts";
import { fail, UsageError } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";
import { storedConfig, withSubject } from "./with-subject.ts";

const HELP = `usage: npm run nixport -- fsck [--repair] [--only SIDE] [--json]

Reads everything that the origin has stored, as the environment configures it for npm run origin, and what its
edge has in KV and R2: whether the bytes of each value are those that were stored, and whether all that it
names is there. Both may serve meanwhile. Exit code 0: nothing is wrong, or nothing is any more. 1: something
is, or it could not be found out. 2: bad usage.

  --repair     remove what is wrong and have it made again, by this machine's Nix: layers of what they were
               made of, records, configs and manifests of what is known of their images. The edge is given
               what the origin has. What cannot be made is removed with all that names it, so that whoever
               asks has it made anew. A serving origin still knows records that went: restart it then
  --only SIDE  origin or edge
  --json       an object with "origin" and "edge", each with collections, findings with key, kind and
               missing, orphans, strangers and withoutChecksum; with --repair also "repair": repairs with key
               and kind, and the findings left. Or with "notTold": why the edge does not tell

Damaged is what has other bytes than were stored, incomplete what names a value that is not there. What
nothing names is counted, and so are files that are no values: they harm nobody.
`;

export const fsck: Subcommand = {
  summary: "read all that is stored, say what is wrong with it, and repair it",
  help: HELP,
  run: async (args, context) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        repair: { type: "boolean", default: false },
        only: { type: "string" },
      },
    });
    const { json, repair, only } = values;
    if (only !== undefined && only !== "origin" && only !== "edge") {
      throw new UsageError(`--only is ${JSON.stringify(only)}: origin or edge`);
    }
    const report = await withSubject(context, "fsck", (subject) =>
      look(subject, { repair, only: only ?? null }, context),
    );
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
    const problem = problemOf(report);
    if (problem !== null) fail(problem);
  },
};

interface Wish {
  readonly repair: boolean;
  readonly only: "origin" | "edge" | null;
}

async function look(
  subject: Subject,
  { repair, only }: Wish,
  { signal }: CommandContext,
): Promise<FsckReport> {
  const config = storedConfig(subject);
  const { edgeUrl, secretKeys } = config;
  if (only === "edge" && edgeUrl === null) fail("NIXPORT_EDGE_URL is not set: there is no edge");
  const options = { now: Date.now, log: createLog({ ...config.logStyle, level: "warn" }) };
  const own = repair ? (await openStorage(config, options)).store : null;
  const lookAtOwn = async () => {
    const store = own ?? (await openForReading(config, options));
    const repairing = own && {
      store: own,
      openWorkshop: () => workshopFor(subject, config, own, signal),
    };
    return withProgress("MB read:", (onChecked) =>
      lookAtOrigin({ store, repairing, onChecked, signal }),
    );
  };
  const origin = only === "edge" ? null : await lookAtOwn();
  if (only === "origin" || edgeUrl === null) return { origin, edge: null };
  const client = createEdgeClient({ url: edgeUrl, secretKeys, now: Date.now, signal });
  const edge = await withProgress("values read:", (onChecked) =>
    lookAtEdge({ edge: client, store: own, onChecked, signal }),
  );
  // Of a machine whose origin never had an edge beside it.
  const isMissed = "notTold" in edge && subject.isEdgeAssumed && only === null;
  return { origin, edge: isMissed ? { ...edge, isAssumed: true } : edge };
}

/** Without Nix nothing is made, and what is removed is made by whoever has one. */
async function workshopFor(
  subject: Subject,
  config: Config,
  store: BlobStore,
  signal: AbortSignal,
): Promise<Workshop | null> {
  const found = await subject.findNix();
  if (found.kind !== "found") {
    process.stderr.write("nothing is made again here: no Nix that can be used\n");
    return null;
  }
  const log = createLog({ ...config.logStyle, level: "warn" });
  const rootsDir = join(subject.statePath, "fsck-roots");
  return openWorkshop({ config, nix: found.nix, store, rootsDir, log, signal });
}

async function withProgress<Result>(
  what: string,
  work: (onChecked: OnChecked) => Promise<Result>,
): Promise<Result> {
  const progress = showProgress(process.stderr, what, Date.now);
  try {
    return await work((done, of, findings) => {
      progress.update(done, of, findings === 0 ? "" : `${findings} wrong`);
    });
  } finally {
    progress.end();
  }
}
