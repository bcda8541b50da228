// The sets of a language's packages: one file of many calls each, as such sets are generated.

import { createRandom, type Random } from "../../bench/graph/random.ts";
import { drawNeeds, inventNames, inventVersion } from "./leaves.ts";

/** What somebody may ask for by name. */
const KNOWN_PYTHON = "numpy requests urllib3 certifi idna setuptools click flask jinja2".split(" ");
const KNOWN_HASKELL = "text bytestring containers aeson".split(" ");

export function pythonPackages(count: number, seed: number): string {
  const entries = draw(createRandom(seed), KNOWN_PYTHON, count).map(
    ({ name, version, needs }) =>
      `  ${name} = callPackage ({ ${["buildPythonPackage", ...needs].join(", ")} }: buildPythonPackage {
    pname = "${name}"; version = "${version}"; dependencies = [ ${needs.join(" ")} ];
    description = "${name} for Python";
  }) { };`,
  );
  return `# The packages of Python: generated.
{ lib, callPackage, python, buildPythonPackage }: self:

{
  inherit python buildPythonPackage;
${entries.join("\n")}
}
`;
}

export function haskellPackages(count: number, seed: number): string {
  const entries = draw(createRandom(seed), KNOWN_HASKELL, count).map(({ name, version, needs }) =>
    haskellEntry(name, version, needs, ""),
  );
  return `# The packages of Haskell: generated.
{ mkDerivation, callPackage }: self:

{
  inherit mkDerivation;
${entries.join("\n")}
${haskellEntry("ShellCheck", "0.11.0", ["aeson", "text"], 'executables = [ "shellcheck" ];')}
  shellcheck = self.ShellCheck;
${haskellEntry("unmaintained", "0.1", ["text"], "broken = true;")}
}
`;
}

function haskellEntry(
  name: string,
  version: string,
  needs: readonly string[],
  more: string,
): string {
  return `  ${name} = callPackage ({ ${["mkDerivation", ...needs].join(", ")} }: mkDerivation {
    pname = "${name}"; version = "${version}"; libraryHaskellDepends = [ ${needs.join(" ")} ];
    description = "${name} for Haskell"; ${more}
  }) { };`;
}

interface Entry {
  readonly name: string;
  readonly version: string;
  readonly needs: readonly string[];
}

function draw(random: Random, known: readonly string[], count: number): readonly Entry[] {
  // Their syllables make no name of a known one, nor of a package outside of the language's set
  // that would be taken in its place.
  const invented = inventNames(random, count).map((name) => `${name}-lib`);
  const names: string[] = [];
  return [...known, ...invented].map((name) => {
    const needs = drawNeeds(random, names).filter((each) => names.includes(each));
    names.push(name);
    return { name, version: inventVersion(random), needs };
  });
}
