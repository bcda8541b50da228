// A package set for what people look at: Debian's packages, packages whose builders wait, and two whose every
// word is an attack on whoever shows it.

import { copyFile, cp, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "../origin/fixture.ts";
import { type GatedSet, plantGatedSet } from "../origin/images/gated-set.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { DEBIAN_SET } from "./deployment.ts";

/** Markup where a page might take it for its own, and what turns around the text behind it. */
export const ATTACK = `<script>alert("described")</script>"'><img src=x onerror=alert(1)>&lt;b&gt;\u202edesrever \u05d0\u05d1`;
/** As pages show it: nothing turns around what is not its own. */
export const TOLD_ATTACK = ATTACK.replace("\u202e", "\ufffd");
/** What the origin keeps of it in a log, but for what looks like a path. */
export const LOGGED_ATTACK = ATTACK.slice(ATTACK.indexOf(`"'>`)).replace("\u202e", "");

export interface ShownSet {
  readonly path: string;
  readonly gates: GatedSet;
}

export async function plantShownSet(onEnd: Ending): Promise<ShownSet> {
  const gates = await plantGatedSet(onEnd);
  const path = join(await temporaryDirectory(onEnd), "set");
  await cp(DEBIAN_SET, path, { recursive: true });
  await rename(join(path, "default.nix"), join(path, "debian.nix"));
  await copyFile(join(gates.path, "default.nix"), join(path, "gated.nix"));
  await writeFile(
    join(path, "default.nix"),
    `{ system ? builtins.currentSystem, ... }@args:
let
  words = ${JSON.stringify(ATTACK)};
  make = name: script: derivation {
    inherit name system words; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin"; args = [ "-c" script ];
  };
in import ./gated.nix // import ./debian.nix args // {
  hostile = make "hostile-1.0" "mkdir -p $out/bin; echo hostile > $out/bin/hostile" // {
    meta = { description = words; mainProgram = words; license.spdxId = words; };
  };
  howling = make "howling-1.0" "printf '%s\\\\n' \\"$words\\"; exit 1";
}
`,
  );
  return { path, gates };
}
