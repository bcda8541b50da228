// The house's package set with what front words stand for and need, in nixpkgs' shape: outputs beside
// the one that an image of a package holds, and a library three attributes deep.

import { realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Ending, temporaryDirectory } from "./fixture.ts";
import { plantSet } from "./house.ts";
import { SHELL_BUILDER } from "./nix/sandbox-shell.ts";

const ARM = process.arch === "arm64";
const SYSTEM = ARM ? "aarch64-linux" : "x86_64-linux";
export const LOADER = ARM ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";

/** `besides`: attributes in Nix's language, laid over the set. */
export async function plantFrontSet(onEnd: Ending, besides = "{ }"): Promise<string> {
  const house = await realpath(await plantSet(onEnd));
  const path = await temporaryDirectory(onEnd);
  const set = `let
    house = import ${house};
    make = name: outputs: script: derivation {
      inherit name outputs; system = "${SYSTEM}"; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${path}"; args = [ "-c" script ];
    };
    file = path: "mkdir -p $(dirname \${path}); echo \${path} > \${path}; chmod 755 \${path}";
    program = name: make "\${name}-1.0" [ "out" ] (file "$out/bin/\${name}");
    names = [ "bashInteractive" "moreutils" "nano" "diffutils" "findutils" "gawk" "gnugrep" "gnused"
      "gnutar" "gzip" "less" "procps" "which" ];
    gcc = make "gcc-1.0" [ "out" "lib" ] (file "$out/bin/gcc" + ";" + file "$lib/lib/libstdc++.so.6");
    set = builtins.listToAttrs (map (name: { inherit name; value = program name; }) names) // {
      coreutils = make "coreutils-1.0" [ "out" ] (file "$out/bin/env");
      nix-ld = make "nix-ld-1.0" [ "out" ] (file "$out/libexec/nix-ld");
      # All that an image of it holds is this output.
      glibc = make "glibc-1.0" [ "out" ] (file "$out/lib/${LOADER}" + ";" + file "$out/lib/libc.so.6");
      stdenv = make "stdenv-1.0" [ "out" ] (file "$out/setup") // { cc = make "wrapper-1.0" [ "out" ]
        (file "$out/bin/cc") // { cc = gcc; }; };
      zlib = make "zlib-1.0" [ "out" ] (file "$out/lib/libz.so.1");
      openssl = make "openssl-1.0" [ "bin" "out" ] (file "$bin/bin/openssl" + ";" + file "$out/lib/libssl.so.3");
    };
  in house // set // (let inherit (set) coreutils; in ${besides})`;
  await writeFile(join(path, "default.nix"), set);
  return path;
}
