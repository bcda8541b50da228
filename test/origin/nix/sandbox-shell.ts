// The shell that builds the tests' packages: busybox, which needs no other file, so that they build in
// a sandbox too, where there is nothing of the host's. Without busybox, the host's own shell.

import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { statePathOf } from "../../../origin/command/local-environment.ts";

const busybox = ["/bin/busybox", "/usr/bin/busybox"].find(existsSync);
/** busybox is the program whose name its file has. */
const FOLDER = resolve(statePathOf(process.env), "test-shell");

if (busybox !== undefined && !existsSync(join(FOLDER, "sh"))) {
  mkdirSync(FOLDER, { recursive: true });
  // Several test files start at once.
  const own = join(FOLDER, `../test-shell.${process.pid}`);
  copyFileSync(busybox, own);
  renameSync(own, join(FOLDER, "sh"));
}

/** A `builder` in Nix's language. */
export const SHELL_BUILDER =
  busybox === undefined
    ? '"/bin/sh"'
    : `"\${builtins.path { name = "test-shell"; path = ${JSON.stringify(FOLDER)}; }}/sh"`;

/** For `skip` of tests that meet a builder at a file of the host's: why that cannot be. */
export const hidesHost =
  process.getuid?.() !== 0 &&
  existsSync("/nix/var/nix/daemon-socket") &&
  "builders that see the host, which root alone may ask a daemon for";
