// Programs called like Nix's, that say and do what a test wants: for versions that this machine does
// not have, and for stores that are not its own.

import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface FakeNix {
  /** What `nix --version` prints. */
  readonly version: string;
  readonly storeUrl?: string;
  /** Of the store's daemon; older versions say nothing of it. */
  readonly trusted?: boolean;
  /** Shell that `nix-store` runs; $root is where it was asked to make a root. */
  readonly realise?: string;
}

/** Writes the programs into `folder`, in front of which nothing may stand on PATH. */
export async function plantNix(folder: string, nix: FakeNix): Promise<string> {
  const { storeUrl = "local", realise = "exit 1" } = nix;
  const trusted = nix.trusted === undefined ? "" : `Trusted: ${Number(nix.trusted)}`;
  await mkdir(folder, { recursive: true });
  await plant(join(folder, "nix"), [
    `case "$*" in`,
    `--version) echo "${nix.version}";;`,
    `"store info "*|"store ping "*) printf 'Store URL: ${storeUrl}\\n${trusted}\\n' >&2;;`,
    `"config show "*|"show-config "*) cat "$(dirname "$0")/settings.json";;`,
    `*) exit 1;; esac`,
  ]);
  await plant(join(folder, "nix-store"), [
    `echo "$*" >> "$0.asked"`,
    `root=; while [ $# -gt 0 ]; do [ "$1" = --add-root ] && root=$2; shift; done`,
    realise,
  ]);
  return folder;
}

/** The arguments of each `nix-store` that was started. */
export async function askedStore(folder: string): Promise<readonly string[]> {
  const text = await readFile(join(folder, "nix-store.asked"), "utf8").catch(() => "");
  return text.split("\n").slice(0, -1);
}

async function plant(path: string, lines: readonly string[]): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${lines.join("\n")}\n`);
  await chmod(path, 0o755);
}
