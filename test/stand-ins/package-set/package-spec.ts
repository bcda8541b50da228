// A package as the generator thinks of it, and the file that says the same in Nix.

import { sourceHash, sourceUrl } from "./sources.ts";

export interface PackageSpec {
  /** The attribute. */
  readonly name: string;
  /** Where it differs from the attribute. */
  readonly pname?: string;
  readonly version: string;
  readonly description: string;
  /** An attribute of lib.licenses. */
  readonly license: string;
  /** Attributes that it is linked with. */
  readonly needs: readonly string[];
  /** Attributes that only its build takes. */
  readonly builtWith?: readonly string[];
  readonly programs?: readonly string[];
  readonly files?: readonly string[];
  readonly outputs?: readonly string[];
  /** Of a library in it, beside files of a line or two. */
  readonly sizeBytes?: number;
  /** Arguments that change nothing but exist to be overridden, with their defaults. */
  readonly switches?: Readonly<Record<string, string>>;
  /** Built before the final environment is there, and linked with nothing that it does not name. */
  readonly isFoundation?: boolean;
}

export function packageFile(spec: PackageSpec): string {
  const stdenv = spec.isFoundation ? "bootstrapStdenv" : "stdenv";
  const others = [...new Set([...spec.needs, ...(spec.builtWith ?? [])])];
  const switches = Object.entries(spec.switches ?? {}).map(([name, value]) => `${name} ? ${value}`);
  const formals = ["lib", stdenv, "fetchurl", ...others, ...switches];
  const pname = spec.pname ?? spec.name;
  const [first] = spec.programs ?? [];
  const lines = [
    `pname = "${pname}";`,
    `version = "${spec.version}";`,
    "",
    "src = fetchurl {",
    `  url = "${sourceUrl(pname, spec.version)}";`,
    `  hash = "${sourceHash(sourceUrl(pname, spec.version))}";`,
    "};",
    ...(spec.outputs ? [`outputs = ${strings(spec.outputs)};`] : []),
    ...(spec.builtWith ? [`nativeBuildInputs = [ ${spec.builtWith.join(" ")} ];`] : []),
    // An argument that was overridden with null is left out.
    `buildInputs = builtins.filter (each: each != null) [ ${spec.needs.join(" ")} ];`,
    ...Object.keys(spec.switches ?? {}).map((name) => `inherit ${name};`),
    ...(spec.programs ? [`programs = ${strings(spec.programs)};`] : []),
    ...(spec.files ? [`files = ${strings(spec.files)};`] : []),
    ...(spec.sizeBytes ? [`size = ${spec.sizeBytes};`] : []),
    "",
    "meta = {",
    `  description = "${spec.description}";`,
    `  homepage = "https://example.org/${pname}";`,
    `  license = lib.licenses.${spec.license};`,
    ...(first === undefined ? [] : [`  mainProgram = "${first}";`]),
    "  maintainers = [ ];",
    "  platforms = lib.platforms.linux;",
    "};",
  ];
  const body = lines.map((line) => (line === "" ? "" : `  ${line}`)).join("\n");
  return `{ ${formals.join(", ")} }:\n\n${stdenv}.mkDerivation (finalAttrs: {\n${body}\n})\n`;
}

/** Where a file of this name is called without being listed anywhere. */
export function packagePath(name: string): string {
  return `pkgs/by-name/${name.slice(0, 2).toLowerCase()}/${name}/package.nix`;
}

export function strings(values: readonly string[]): string {
  return `[ ${values.map((value) => `"${value}"`).join(" ")} ]`;
}
