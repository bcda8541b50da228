// `nixport fsck`: reads all that an origin and its edge have stored, says what is wrong with it, and has it
// mended.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openSubject, type Subject } from "../doctor/subject.ts";
import { checkStorage } from "../fsck/check.ts";
import type { Checked, OnChecked } from "../fsck/finding.ts";
import { formatChecked } from "../fsck/page.ts";
import { openFilesystemStore } from "../storage/filesystem.ts";
import { debianSetNixConfig, nixpkgsAnswers } from "./host.ts";
import { existingEnvironment, statePathOf } from "./local-environment.ts";
import { fail, wrongConfiguration } from "./process.ts";
import { showProgress } from "./progress.ts";
import type { CommandContext, Subcommand } from "./subcommand.ts";

const HELP = `usage: npm run nixport -- fsck [--json]

Reads everything that the origin has stored, as the environment configures it for npm run origin: whether
the bytes of each value are those that were stored, and whether all that it names is there. Origins may
serve meanwhile. Exit code 0: nothing is wrong. 1: something is, or it could not be found out. 2: bad usage.

  --json   an object with "origin": collections, findings with key, kind and missing, orphans, strangers,
           withoutChecksum

Damaged is what has other bytes than were stored, incomplete what names a value that is not there. Layers
that nothing names are counted, and so are files that are no values: they harm nobody.
`;

export const fsck: Subcommand = {
  summary: "read all that is stored, and say what is wrong with it",
  help: HELP,
  run: async (args, context) => {
    const { values } = parseArgs({
      args: [...args],
      options: { json: { type: "boolean", default: false } },
    });
    const origin = await withSubject(context, (subject) => checkOrigin(subject, context));
    const count = origin.findings.length;
    process.stdout.write(
      values.json ? `${JSON.stringify({ origin }, null, 2)}\n` : formatChecked("origin", origin),
    );
    if (count > 0) fail(`${count} ${count === 1 ? "value is" : "values are"} wrong`);
  },
};

async function checkOrigin(subject: Subject, { signal }: CommandContext): Promise<Checked> {
  const { config, problems } = subject;
  if (config === null) fail(wrongConfiguration(problems));
  const { storagePath } = config;
  // Opening it would make it, and a misspelt place would be found to be in order.
  if (!existsSync(storagePath)) fail(`nothing is stored at ${storagePath}`);
  const store = await openFilesystemStore(storagePath);
  return await withProgress((onChecked) =>
    checkStorage({ store, reads: "everything", onChecked, signal }),
  );
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
