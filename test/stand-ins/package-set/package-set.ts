// A package set in nixpkgs' shape, as the files of its tree: what stands in `tree/`, and around it
// packages in any number. The same options give the same bytes.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { haskellPackages, pythonPackages } from "./languages.ts";
import { inventLeaves } from "./leaves.ts";
import { type PackageSpec, packageFile, packagePath } from "./package-spec.ts";
import { NAMED_PACKAGES } from "./programs.ts";
import { sourceHash, sourceUrl } from "./sources.ts";

export interface PackageSetOptions {
  /** Other salts give other store paths of everything that is built. */
  readonly salt: string;
  /** How many attributes are invented besides those with known names. */
  readonly packages: number;
  /** What lib/minver.nix says. */
  readonly minver: string;
  /** How a refusal is worded: to the middle of 2025, since then, and as of late for broken ones. */
  readonly wording: "old" | "new" | "problems";
  /** How often the version of a package, by its attribute, has been raised. */
  readonly raised: ReadonlyMap<string, number>;
  /** Where the tools that everything is built with can be fetched. */
  readonly bootstrap: { readonly url: string; readonly sha256: string };
}

export type Tree = ReadonlyMap<string, string>;

const STATIC_FILES = fileURLToPath(new URL("./tree", import.meta.url));
const SEED = 20_260_101;
const BASH_PATCHES = 3;

export function generatePackageSet(options: PackageSetOptions): Tree {
  const shares = { leaves: 0.35, python: 0.25, haskell: 0.4 };
  const countOf = (share: number) => Math.round(options.packages * share);
  const specs = [...NAMED_PACKAGES, ...inventLeaves(countOf(shares.leaves), SEED)];
  const { url, sha256 } = options.bootstrap;
  return new Map([
    ...staticFiles(),
    ["lib/minver.nix", `# The oldest Nix that evaluates this set\n"${options.minver}"\n`],
    ["pkgs/stdenv/generic/wording.nix", `"${options.wording}"\n`],
    ["pkgs/stdenv/linux/salt.nix", `${JSON.stringify(options.salt)}\n`],
    ["pkgs/stdenv/linux/bootstrap-files.nix", `{ url = "${url}"; sha256 = "${sha256}"; }\n`],
    ["pkgs/stdenv/linux/tools.nix", bootstrapTools()],
    ["pkgs/top-level/python-packages.nix", pythonPackages(countOf(shares.python), SEED + 1)],
    [
      "pkgs/development/haskell-modules/hackage-packages.nix",
      haskellPackages(countOf(shares.haskell), SEED + 2),
    ],
    ...specs.map((spec): [string, string] => [
      packagePath(spec.name),
      packageFile(raise(spec, options.raised.get(spec.name) ?? 0)),
    ]),
  ]);
}

/** The attributes whose version can be raised. */
export function raisablePackages(packages: number): readonly string[] {
  return inventLeaves(Math.round(packages * 0.35), SEED).map(({ name }) => name);
}

function raise(spec: PackageSpec, times: number): PackageSpec {
  return times === 0 ? spec : { ...spec, version: `${spec.version}.${times}` };
}

function staticFiles(): readonly [string, string][] {
  return globSync("**/*.{nix,sh}", { cwd: STATIC_FILES })
    .sort()
    .map((path) => [path, readFileSync(join(STATIC_FILES, path), "utf8")]);
}

/** What each stage of the bootstrap builds anew. */
function bootstrapTools(): string {
  const tools = [
    ["binutils", "2.44"],
    ["bash", "5.3"],
    ["coreutils", "9.8"],
    ["gcc", "14.3.0"],
    ["gnumake", "4.4.1"],
    ["patchelf", "0.15.2"],
  ] as const;
  const source = (pname: string, version: string) => {
    const url = sourceUrl(pname, version);
    return `{ url = "${url}"; hash = "${sourceHash(url)}"; }`;
  };
  const patches = Array.from({ length: BASH_PATCHES }, (_, index) =>
    source("bash53-patches", `bash53-00${index + 1}`),
  );
  const entries = tools.map(
    ([pname, version]) =>
      `  { pname = "${pname}"; version = "${version}"; src = ${source(pname, version)};` +
      `${pname === "bash" ? ` patches = [ ${patches.join(" ")} ];` : ""} }`,
  );
  return `# What the stages of the bootstrap build: generated.\n[\n${entries.join("\n")}\n]\n`;
}
