// A package set with one package for every way in which a package cannot be had. It takes the
// operator's configuration as nixpkgs does.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "./fixture.ts";
import { SHELL_BUILDER } from "./nix/sandbox-shell.ts";

/** `salt` makes everything build anew. */
function failingSet(salt: string): string {
  return `{ system, config ? { } }:
let
  make = name: script: derivation {
    inherit name system; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin"; salt = "${salt}";
    args = [ "-c" script ];
  };
  good = name: make name "mkdir -p $out/bin; echo \${name} > $out/bin/\${name}";
  # As nixpkgs refuses: what would build it cannot be evaluated, and meta says why.
  unless = allowed: drv: meta: drv // { inherit meta; } // (if allowed then { } else {
    outPath = throw "refused in ${salt}"; drvPath = throw "refused in ${salt}"; });
in rec {
  cacert = good "nss-cacert-1.0";
  iana-etc = good "iana-etc-1.0";
  hello = good "hello-1.0";
  nested = { inner = good "inner-1.0"; Other = good "other-1.0"; };

  licensed = unless (config.allowUnfree or false) (good "licensed-1.0")
    { unfree = true; license = { shortName = "own-licence"; free = false; }; };
  defective = unless (config.allowBroken or false) (good "defective-1.0") { broken = true; };
  leaky = unless (builtins.elem "leaky-1.0" (config.permittedInsecurePackages or [ ]))
    (good "leaky-1.0") { insecure = true; knownVulnerabilities = [ "CVE-2026-0001" ]; };
  elsewhere = derivation { name = "elsewhere-1.0"; system = "mips64-linux"; builder = "/bin/sh"; };

  throwing = throw "it was renamed to hello";
  thrown = builtins.listToAttrs (builtins.genList
    (n: { name = "t\${toString n}"; value = throw "reason \${toString n}"; }) 20);
  aborting = abort "nothing can be said of it";
  recursive = let x = x; in x;
  unreadable = import (/. + "${salt}/secret/default.nix");

  failing = make "failing-1.0" "echo one line; echo in $PWD; echo this went wrong >&2; exit 7";
  dependent = make "dependent-1.0" "cat \${failing}; echo > $out";
  failing-too = make "failing-too-1.0" "exit 8";
  # What is no fault of theirs.
  unfetched = builtins.derivation {
    name = "source-1.0"; system = "builtin"; builder = "builtin:fetchurl";
    url = "http://127.0.0.1:1/source"; salt = "${salt}"; executable = false; unpack = false;
    outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "0000000000000000000000000000000000000000000000000000";
  };
  needs-unfetched = make "needs-unfetched-1.0" "cat \${unfetched}; echo > $out";
  # As the kernel does it when memory is short: to the builder, or to what that started.
  killed = make "killed-1.0" "echo begun; kill -9 $$";
  killed-within = make "killed-within-1.0" "sleep 1000 & kill -9 $!; wait $!";
  roomless = make "roomless-1.0" ''
    echo 'cp: error writing x: No space left on device'
    for each in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "make[$each]: *** [all] Error 1"; done; exit 1'';

  slow = make "slow-1.0" "echo still at it; exec sleep 1000";

  # A shell in which one package has a name that no layer can hold, and another may not build.
  bashInteractive = good "bash-5.0";
  coreutils = good "coreutils-9.0";
  moreutils = if config.mended or false then good "moreutils-1.0" else make "moreutils-1.0" "exit 9";
  nano = make "nano-1.0" "mkdir -p $out/share; echo > $out/share/.wh.x";
}`;
}

export async function plantFailingSet(t: Ending): Promise<string> {
  const path = await temporaryDirectory(t);
  await writeFile(join(path, "default.nix"), failingSet(path));
  return path;
}
