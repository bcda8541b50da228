// Reads the machine's apt index: which packages Debian offers, in which version, and where from.

import { readFile } from "node:fs/promises";
import { parseDependencies } from "./dependencies.ts";
import { run } from "./run.ts";
import { compareVersions } from "./version.ts";

export const APT_HELPER = "/usr/lib/apt/apt-helper";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  // Each entry is one dependency: the names any of which satisfies it.
  readonly dependencies: readonly (readonly string[])[];
  readonly description: string;
  readonly homepage: string | undefined;
  readonly url: string;
  readonly sizeBytes: number;
  readonly installedBytes: number;
  readonly sha256: string;
}

export interface AptIndex {
  package(name: string): DebianPackage | undefined;
  // Real packages that offer a virtual name, sorted.
  providers(virtualName: string): readonly string[];
}

export interface IndexList {
  readonly baseUrl: string;
  readonly text: string;
}

export class AptIndexAbsent extends Error {
  constructor(architecture: string) {
    super(`apt has no package index of Debian for ${architecture}: run \`apt-get update\` first`);
    this.name = "AptIndexAbsent";
  }
}

// `aptOptions` point apt at another state directory, for an architecture that is not the host's.
export async function readAptIndex(
  architecture: string,
  aptOptions: readonly string[] = [],
): Promise<AptIndex> {
  const targets = await run("apt-get", [
    ...aptOptions,
    "indextargets",
    "--format",
    "$(ORIGIN)|$(ARCHITECTURE)|$(REPO_URI)|$(FILENAME)",
    "Created-By: Packages",
  ]);
  const lists: IndexList[] = [];
  for (const { baseUrl, file } of debianLists(targets, architecture)) {
    if (await isOptIn(file)) continue;
    lists.push({ baseUrl, text: await run(APT_HELPER, ["cat-file", file]) });
  }
  if (lists.length === 0) throw new AptIndexAbsent(architecture);
  return indexOf(lists);
}

// The lists of Debian's own archive. A third-party one may carry a newer package of the same name,
// built against other libraries; only Debian's is consistent in itself.
export function debianLists(
  targets: string,
  architecture: string,
): readonly { readonly baseUrl: string; readonly file: string }[] {
  return targets.split("\n").flatMap((line) => {
    const [origin, listArchitecture = "", baseUrl, file] = line.split("|");
    if (origin !== "Debian" || baseUrl === undefined || file === undefined) return [];
    return [architecture, "all"].includes(listArchitecture) ? [{ baseUrl, file }] : [];
  });
}

// Backports and experimental are marked so; apt takes nothing from them unless told to.
async function isOptIn(listFile: string): Promise<boolean> {
  const release = listFile.replace(/_[^_]+_binary-.*$/, "");
  for (const suffix of ["_InRelease", "_Release"]) {
    const text = await readFile(release + suffix, "utf8").catch(() => undefined);
    if (text !== undefined) return /^NotAutomatic: yes$/m.test(text);
  }
  return false;
}

// Finds where each stanza lies and parses only those that are asked for: a set needs some hundred
// of some ten thousand.
export function indexOf(lists: readonly IndexList[]): AptIndex {
  const candidates = new Map<string, { version: string; stanza: string; baseUrl: string }>();
  const providers = new Map<string, Set<string>>();
  for (const { baseUrl, text } of lists) {
    for (const stanza of text.split("\n\n")) {
      const name = field(stanza, "Package");
      const version = field(stanza, "Version");
      if (name === undefined || version === undefined) continue;
      const known = candidates.get(name);
      if (known === undefined || compareVersions(version, known.version) > 0) {
        candidates.set(name, { version, stanza, baseUrl });
      }
      for (const [virtualName] of parseDependencies(field(stanza, "Provides") ?? "")) {
        if (virtualName === undefined) continue;
        const names = providers.get(virtualName) ?? new Set();
        providers.set(virtualName, names.add(name));
      }
    }
  }
  const parsed = new Map<string, DebianPackage>();
  return {
    package(name) {
      const known = parsed.get(name);
      const candidate = candidates.get(name);
      if (known !== undefined || candidate === undefined) return known;
      const result = parsePackage(candidate.stanza, candidate.baseUrl);
      parsed.set(name, result);
      return result;
    },
    providers: (virtualName) => [...(providers.get(virtualName) ?? [])].sort(),
  };
}

function parsePackage(stanza: string, baseUrl: string): DebianPackage {
  const required = (name: string): string => {
    const value = field(stanza, name);
    if (value === undefined) throw new Error(`no ${name} in the index:\n${stanza.slice(0, 200)}`);
    return value;
  };
  return {
    name: required("Package"),
    version: required("Version"),
    dependencies: [
      ...parseDependencies(field(stanza, "Pre-Depends") ?? ""),
      ...parseDependencies(field(stanza, "Depends") ?? ""),
    ],
    description: required("Description"),
    homepage: field(stanza, "Homepage"),
    url: baseUrl.replace(/\/*$/, "/") + required("Filename"),
    sizeBytes: Number(required("Size")),
    installedBytes: Number(field(stanza, "Installed-Size") ?? "0") * 1024,
    sha256: required("SHA256"),
  };
}

// The first line of a field. None of the fields read here is continued on a second one, but for
// Description, whose further lines are the long text.
function field(stanza: string, name: string): string | undefined {
  const atStart = stanza.startsWith(`${name}: `);
  const at = atStart ? 0 : stanza.indexOf(`\n${name}: `);
  if (at === -1) return undefined;
  const from = at + name.length + (atStart ? 2 : 3);
  const end = stanza.indexOf("\n", from);
  return stanza.slice(from, end === -1 ? undefined : end).trim();
}
