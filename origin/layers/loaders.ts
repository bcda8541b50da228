// Where programs that Nix did not build look for their loader and their libraries: the links of `fhs`.
//
// nixpkgs' glibc searches nothing but what its programs were linked with, so its loader alone would
// start a foreign program that then finds no libstdc++. nix-ld stands in its place, has the real loader
// search the libraries of the image, and takes that back before the program runs, so that whatever the
// program starts is not led to them. The Debian-backed set's nix-ld is glibc's loader itself, which
// searches /lib.

import type { Link } from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import type { ClosureFiles } from "./closure-files.ts";

const NIX_LD = "libexec/nix-ld";
/** As foreign programs name it, by glibc's file. */
const LOADERS: Readonly<Record<string, string>> = {
  "lib/ld-linux-x86-64.so.2": "/lib64/ld-linux-x86-64.so.2",
  "lib/ld-linux-aarch64.so.1": "/lib/ld-linux-aarch64.so.1",
};

/** `outputs` are those that `fhs` needs; a text says what they lack. */
export function readLoaders(
  outputs: readonly StorePath[],
  files: ClosureFiles,
): readonly Link[] | string {
  const isProgram = (path: string) => files.resolve(path)?.kind === "program";
  const nixLd = outputs.map((path) => `${path}/${NIX_LD}`).find(isProgram);
  const [loader] = outputs.flatMap((path) =>
    Object.entries(LOADERS).flatMap(([file, place]) =>
      isProgram(`${path}/${file}`) ? [{ file: `${path}/${file}`, place }] : [],
    ),
  );
  if (nixLd === undefined) return `${outputs[0]} has no ${NIX_LD}, which fhs needs`;
  if (loader === undefined) return `${outputs[1]} has no loader of glibc in lib, which fhs needs`;
  return [
    { path: loader.place, target: nixLd },
    { path: "/lib/ld.so", target: loader.file },
    // Where nix-ld looks without variables, for programs that are started with none.
    { path: "/run/current-system/sw/share/nix-ld/lib", target: "/lib" },
    // Scripts name /usr/bin/python3, and a view has directories there only for what its package has.
    { path: "/usr/bin", target: "../bin" },
    // Where installers look for the versions of libraries, such as that of VS Code's server.
    { path: "/usr/lib64", target: "../lib" },
  ];
}
