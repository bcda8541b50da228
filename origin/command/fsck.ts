// `nixport fsck`: reads all that an origin and its edge have stored, says what is wrong with it, and has it
// mended.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Config } from "../configuration/config.ts";
import { openSubject, type Subject } from "../doctor/subject.ts";
import { checkStorage } from "../fsck/check.ts";
import type { Checked, OnChecked, Repaired } from "../fsck/finding.ts";
import { formatChecked, formatRepaired } from "../fsck/page.ts";
import { remake } from "../fsck/remake.ts";
import { repairStorage } from "../fsck/repair.ts";
import { openWorkshop, type Workshop } from "../fsck/workshop.ts";
import { createLog } from "../log/log.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { openFilesystemStore } from "../storage/filesystem.ts";
import { debianSetNixConfig, nixpkgsAnswers } from "./host.ts";
import { existingEnvironment, statePathOf } from "./local-environment.ts";
import { fail, wrongConfiguration } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- fsck [--repair] [--json]

Reads everything that the origin has stored, as the environment configures it for npm run origin: whether
the bytes of each value are those that were stored, and whether all that it names is there. Origins may
serve meanwhile. Exit code 0: nothing is wrong, or nothing is any more. 1: something is, or it could not be
found out. 2: bad usage.

  --repair   remove what is wrong and have it made again, by this machine's Nix: layers of what they were
             made of, records, configs and manifests of what is known of their images. What cannot be made
             is removed with all that names it, so that whoever asks has it made anew. A serving origin
             still knows records that were removed: restart it then
  --json     an object with "origin": collections, findings with key, kind and missing, orphans, strangers,
             withoutChecksum; with --repair also "repair": repairs with key and kind, and the findings left

Damaged is what has other bytes than were stored, incomplete what names a value that is not there. Layers
that nothing names are counted, and so are files that are no values: they harm nobody.
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
      },
    });
    const report = await withSubject(context, (subject) =>
      checkOrigin(subject, values.repair, context),
    );
    process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : page(report));
    const { length } = (report.repair ?? report.origin).findings;
    if (length > 0) fail(`${length} ${length === 1 ? "value is" : "values are"} wrong`);
  },
};

interface Report {
  readonly origin: Checked;
  readonly repair?: Repaired;
}

function page({ origin, repair }: Report): string {
  return formatChecked("origin", origin) + (repair === undefined ? "" : formatRepaired(repair));
}

async function checkOrigin(
  subject: Subject,
  isToRepair: boolean,
  { signal }: CommandContext,
): Promise<Report> {
  const { config, problems } = subject;
  if (config === null) fail(wrongConfiguration(problems));
  const { storagePath } = config;
  // Opening it would make it, and a misspelt place would be found to be in order.
  if (!existsSync(storagePath)) fail(`nothing is stored at ${storagePath}`);
  const store = await openFilesystemStore(storagePath);
  const check = (reads: "everything" | "documents") =>
    withProgress((onChecked) => checkStorage({ store, reads, onChecked, signal }));
  const origin = await check("everything");
  if (!isToRepair || origin.findings.length === 0) return { origin };
  const workshop = await workshopFor(subject, config, store, signal);
  try {
    const repair = await repairStorage({
      ...{ store, found: origin.findings, check: () => check("documents") },
      remake: async (wanted) => {
        if (workshop !== null) await remake({ store, workshop, wanted, signal });
      },
    });
    return { origin, repair };
  } finally {
    await workshop?.close();
  }
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

async function withProgress<Result>(work: (onChecked: OnChecked) => Promise<Result>) {
  const progress = showProgress(process.stderr, "MB read:", Date.now);
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  try {
    return await work((done, of, findings) => {
      progress.update(megabytes(done), megabytes(of), findings === 0 ? "" : `${findings} wrong`);
    });
  } finally {
    progress.end();
  }
}

/** What an origin on this machine would be started with; nothing is installed or made for it. */
async function withSubject<Result>(
  { env, signal }: CommandContext,
  use: (subject: Subject) => Promise<Result>,
): Promise<Result> {
  const scratchPath = await mkdtemp(join(tmpdir(), "nixport-fsck-"));
  try {
    const subject = openSubject({
      env: await existingEnvironment(env, scratchPath),
      statePath: statePathOf(env),
      isEdgeAssumed: !env.NIXPORT_EDGE_URL?.trim(),
      ...{ nixpkgsAnswers, debianSetNixConfig, signal },
    });
    return await use(subject);
  } finally {
    await rm(scratchPath, { recursive: true, force: true });
  }
}
