// From the graph of store paths to the lock that default.nix reads, and to figures about it.

import { basename } from "node:path";
import type { DebianPackage } from "./apt-index.ts";
import type { Target } from "./architectures.ts";
import {
  type AttributeSet,
  closureOf,
  type Lock,
  type LockedAttribute,
  type LockedDeb,
  leaves,
} from "./lock.ts";
import type { Packages } from "./package-graph.ts";
import { BUSYBOX, type RootRow, type Tables } from "./packages.ts";
import type { Resolution } from "./resolve.ts";
import { storeName } from "./version.ts";

export interface RootSummary {
  readonly attribute: string;
  readonly packages: number;
  readonly downloadBytes: number;
  readonly installedBytes: number;
}

export interface LockSummary {
  readonly system: string;
  readonly packages: number;
  readonly debs: number;
  readonly downloadBytes: number;
  readonly roots: readonly RootSummary[];
}

type Resolved = Extract<Resolution, { kind: "resolved" }>;

export function makeLock(
  { architecture, multiarch, loader }: Target,
  { packages, rootPackages }: Resolved,
  toolPackages: Packages,
  tables: Tables,
): Lock {
  const all = Object.values(toolPackages).flatMap(({ members }) => members);
  const busybox = all.find(({ name }) => name === BUSYBOX);
  if (busybox === undefined) throw new Error(`${BUSYBOX} is no root of the tools`);
  return {
    formatVersion: 1,
    architecture,
    multiarch,
    loader,
    shell: tables.shell,
    busybox: lockedDeb(busybox),
    tools: lockedDebs(all.filter((tool) => tool !== busybox)),
    attributes: attributeSet(tables.roots, rootPackages),
    packages: lockedPackages(packages),
  };
}

function attributeSet(
  roots: readonly RootRow[],
  rootPackages: ReadonlyMap<string, string>,
): AttributeSet {
  interface Mutable {
    [name: string]: LockedAttribute | Mutable;
  }
  const attributes: Mutable = {};
  const rows = sortedBy(roots, ([name]) => name);
  const leafOf = ([, debianPackage, mainProgram, license]: RootRow): LockedAttribute => ({
    package: rootPackages.get(debianPackage) ?? debianPackage,
    ...(mainProgram === undefined ? {} : { mainProgram }),
    ...(license === undefined ? {} : { license }),
  });
  for (const row of rows) {
    const [path] = row;
    // What stands below a package is one of its outputs.
    if (rows.some(([of]) => path.startsWith(`${of}.`))) continue;
    const outputs = rows
      .filter(([output]) => output.startsWith(`${path}.`))
      .map((output) => [output[0].slice(path.length + 1), leafOf(output)] as const);
    const names = path.split(".");
    const last = names.pop() ?? path;
    let set = attributes;
    for (const name of names) {
      set[name] ??= {};
      set = set[name] as Mutable;
    }
    set[last] = {
      ...leafOf(row),
      ...(outputs.length === 0 ? {} : { outputs: Object.fromEntries(outputs) }),
    };
  }
  return attributes;
}

function lockedPackages(packages: Packages): Lock["packages"] {
  return Object.fromEntries(
    Object.entries(packages).map(([key, one]) => {
      const { name, version, dependencies, shell, interpreter, merged, members } = one;
      const [first] = members;
      const homepage = first?.homepage;
      return [
        key,
        {
          name,
          version,
          description: first?.description ?? "",
          ...(homepage === undefined ? {} : { homepage }),
          dependencies,
          shell,
          ...(interpreter === undefined ? {} : { interpreter }),
          ...(merged === undefined ? {} : { merged }),
          debs: lockedDebs(members),
        },
      ];
    }),
  );
}

function lockedDebs(members: readonly DebianPackage[]): readonly LockedDeb[] {
  return sortedBy(members.map(lockedDeb), (deb) => deb.package);
}

function lockedDeb({ name, version, url, sizeBytes, sha256 }: DebianPackage): LockedDeb {
  return {
    package: name,
    version,
    file: storeName(basename(url)),
    // As apt does: some servers read a bare `+` as a space.
    url: url.replaceAll("+", "%2b").replaceAll("~", "%7e"),
    sizeBytes,
    sha256,
  };
}

export function summarise({ system }: Target, lock: Lock, packages: Packages): LockSummary {
  const sum = (names: readonly string[], key: "sizeBytes" | "installedBytes"): number =>
    names
      .flatMap((name) => packages[name]?.members ?? [])
      .reduce((total, member) => total + member[key], 0);
  const all = Object.keys(packages);
  const roots = leaves(lock.attributes).map(([attribute, leaf]) => {
    const closure = closureOf(lock.packages, leaf.package);
    return {
      attribute,
      packages: closure.length,
      downloadBytes: sum(closure, "sizeBytes"),
      installedBytes: sum(closure, "installedBytes"),
    };
  });
  return {
    system,
    packages: all.length,
    debs: all.flatMap((name) => packages[name]?.members ?? []).length,
    downloadBytes: sum(all, "sizeBytes"),
    roots,
  };
}

function sortedBy<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
