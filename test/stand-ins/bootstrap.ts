// The tools that the set builds everything with: a static busybox, for a sandbox has nothing in it,
// not even a shell on every system, and a package must be built with what it was given.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { file, folderOf, type NarTree, narOf } from "./nar.ts";

const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"];
const DYNAMIC = /\/lib(?:64)?\/ld-(?:linux|musl)-/;
const APPLETS = ["ash", "cat", "chmod", "cp", "ln", "mkdir", "printf"];
export const BOOTSTRAP_PATH = "/stdenv/bootstrap-tools.nar";

export interface Bootstrap {
  readonly tree: NarTree;
  readonly nar: Buffer;
  readonly url: string;
  readonly sha256: string;
}

/** A static one: a sandbox has no linker of a dynamic one's. */
export function findBusybox(): string | undefined {
  return BUSYBOX.find((path) => existsSync(path) && !DYNAMIC.test(readFileSync(path, "latin1")));
}

export function makeBootstrap(): Bootstrap {
  const busybox = findBusybox();
  if (busybox === undefined) throw new Error("no static busybox is installed");
  const links = APPLETS.map(
    (name) => [`bin/${name}`, { kind: "link", target: "busybox" }] as const,
  );
  const tree = folderOf({
    "bin/busybox": file(readFileSync(busybox), true),
    ...Object.fromEntries(links),
  });
  const nar = narOf(tree);
  const sha256 = createHash("sha256").update(nar).digest("base64");
  const url = `https://tarballs.nixos.org${BOOTSTRAP_PATH}`;
  return { tree, nar, url, sha256: `sha256-${sha256}` };
}
