// The Debian-backed set with small packages beside its own that nobody has built, as many as one likes:
// cold-0, cold-1, … Every few of them share a library that is large enough for a layer of its own.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEBIAN_SET } from "../e2e/deployment.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";

const COLD_PACKAGES = 20_000;
const SHARING = 8;

export const coldName = (number: number) => `cold-${number}`;

/** `salt` makes all of them build anew. */
export async function plantColdSet(folder: string, salt: string): Promise<void> {
  await writeFile(
    join(folder, "default.nix"),
    `{ system ? builtins.currentSystem, ... }@arguments:
let
  make = name: script: derivation {
    inherit name system; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
    salt = ${JSON.stringify(salt)}; args = [ "-c" "set -e; mkdir -p $out/bin; \${script}" ];
  };
  numbers = count: from: builtins.genList (place: from + place) count;
  libraries = builtins.genList
    (number: make "cold-library-1.\${toString number}" "seq \${toString number} 200000 > $out/numbers")
    ${COLD_PACKAGES / SHARING};
  cold = number: {
    name = "cold-\${toString number}";
    value = make "cold-\${toString number}-1.0" ''
      echo \${builtins.elemAt libraries (number / ${SHARING})} > $out/bin/cold-\${toString number}
      seq \${toString (number + 1)} \${toString (number + 3000)} > $out/own
    '';
  };
in
import ${DEBIAN_SET} arguments // builtins.listToAttrs (map cold (numbers ${COLD_PACKAGES} 0))
`,
  );
}
