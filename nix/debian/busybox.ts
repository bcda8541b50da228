// Brings busybox, the program in which the first build of the set runs: one file that needs no other,
// so it can lie in the set's folder as it is.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { APT_HELPER } from "./apt-index.ts";
import type { LockedDeb } from "./lock.ts";
import { CommandError, run } from "./run.ts";

export interface Busybox {
  readonly deb: LockedDeb;
  readonly program: Uint8Array;
}

// The earlier one, where it came of the same package or no other can be had: any version will do, and
// a mirror that is down for a moment must not stop a start. Throws CommandError.
export async function bringBusybox(deb: LockedDeb, earlier?: Busybox): Promise<Busybox> {
  if (earlier?.deb.sha256 === deb.sha256) return earlier;
  try {
    return { deb, program: await download(deb) };
  } catch (error) {
    if (!(error instanceof CommandError) || earlier === undefined) throw error;
    return earlier;
  }
}

async function download({ url, sha256 }: LockedDeb): Promise<Uint8Array> {
  const work = await mkdtemp(join(tmpdir(), "nixport-busybox-"));
  try {
    const file = join(work, "busybox.deb");
    await run(APT_HELPER, ["download-file", url, file, `SHA256:${sha256}`]);
    await run("dpkg-deb", ["--extract", file, join(work, "tree")]);
    // It moved to /usr in trixie.
    return await readFile(join(work, "tree/usr/bin/busybox")).catch(() =>
      readFile(join(work, "tree/bin/busybox")),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
