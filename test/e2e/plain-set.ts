// A package set of some files, whose images are byte for byte the same on every machine: what it is
// made of has no path of the host's but its shell's.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const SET = `{ system, ... }: let
  make = name: path: text: derivation {
    inherit name system text; builder = "/bin/sh"; PATH = "/bin:/usr/bin:/run/current-system/sw/bin";
    args = [ "-c" "mkdir -p $out/$(dirname \${path}); echo \\"$text\\" > $out/\${path}; chmod 755 $out/\${path}" ];
  } // { version = "1.0"; meta.license.spdxId = "MIT"; };
in {
  cacert = make "nss-cacert-1.0" "etc/ssl/certs/ca-bundle.crt" "no certificates";
  iana-etc = make "iana-etc-1.0" "etc/protocols" "no protocols";
  greeting = make "greeting-1.0" "bin/greeting" "hello";
}
`;

/** The folder of the set, below another. */
export async function plantPlainSet(folder: string): Promise<string> {
  const path = join(folder, "plain-set");
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "default.nix"), SET);
  return path;
}
