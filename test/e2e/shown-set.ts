// A package set for what people look at: Debian's packages, packages whose builders wait, and one whose every
// word is an attack on whoever shows it.

import { copyFile, cp, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "../origin/fixture.ts";
import { type GatedSet, plantGatedSet } from "../origin/images/gated-set.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";
import { DEBIAN_SET } from "./deployment.ts";

/** Markup where a page might take it for its own, and what turns around the text behind it. */
export const ATTACK = `<script>alert("described")</script>"'><img src=x onerror=alert(1)>&lt;b&gt;\u202edesrever \u05d0\u05d1`;
/** As the origin tells it: no package turns around what is not its own. */
export const TOLD_ATTACK = ATTACK.replace("\u202e", "\ufffd");

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
  const text = JSON.stringify(ATTACK);
  await writeFile(
    join(path, "default.nix"),
    `{ system ? builtins.currentSystem, ... }@args:
import ./gated.nix // import ./debian.nix args // {
  hostile = derivation {
    name = "hostile-1.0"; inherit system; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
    args = [ "-c" "mkdir -p $out/bin; echo hostile > $out/bin/hostile" ];
  } // { meta = { description = ${text}; mainProgram = ${text}; license.spdxId = ${text}; }; };
}
`,
  );
  return { path, gates };
}
