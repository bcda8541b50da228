// Turns the roots table and apt's index into the graph of store paths: groups and cycles merged, what
// only maintainer scripts need left out. Every problem is reported, not only the first.

import type { AptIndex, DebianPackage } from "./apt-index.ts";
import { mergeCycles } from "./cycles.ts";
import { closureOf } from "./lock.ts";
import type { Packages, ResolvedPackage, Unshelled } from "./package-graph.ts";
import type { Tables } from "./packages.ts";
import { storeName, storeVersion } from "./version.ts";

export type Resolution =
  | {
      readonly kind: "resolved";
      readonly packages: Packages;
      readonly rootPackages: ReadonlyMap<string, string>; // Debian's name of a root to its group
    }
  | { readonly kind: "failed"; readonly problems: readonly string[] };

export function resolve(archive: AptIndex, tables: Tables): Resolution {
  const problems: string[] = [];
  const index = withCopies(archive, tables);
  const reached = walk(index, tables, problems);
  const packages = nameModules(mergeCycles(merge(reached, tables), tables), tables);
  if (packages[tables.shell] === undefined) problems.push(`the shell ${tables.shell} is no root`);
  if (problems.length > 0) return { kind: "failed", problems };
  const keys = Object.entries(packages).flatMap(([key, { merged = [] }]) =>
    merged.map((other) => [other, key] as const),
  );
  const keyOf = new Map(keys);
  const rootPackages = new Map(
    tables.roots.map(([, debianPackage]) => {
      const group = groupName(choose(index, [debianPackage]) ?? debianPackage, tables);
      return [debianPackage, keyOf.get(group) ?? group];
    }),
  );
  return { kind: "resolved", packages: addShell(packages, tables), rootPackages };
}

// The index with the packages that are made of another's .deb.
function withCopies(index: AptIndex, { copies }: Tables): AptIndex {
  return {
    providers: (name) => index.providers(name),
    package(name) {
      const copy = copies[name];
      if (copy === undefined) return index.package(name);
      const { of, description } = copy;
      const original = index.package(of);
      return original && { ...original, name, description, dependencies: [] };
    },
  };
}

interface Reached {
  readonly package: DebianPackage;
  readonly dependencies: readonly string[];
}

// All Debian packages reachable from the roots, in the order they are met.
function walk(index: AptIndex, tables: Tables, problems: string[]): ReadonlyMap<string, Reached> {
  const reached = new Map<string, Reached>();
  const queue: string[] = [];
  for (const [attribute, debianPackage] of tables.roots) {
    // Releases differ in names: libssl3 is what libssl3t64 provides.
    const chosen = choose(index, [debianPackage]);
    if (chosen !== undefined) queue.push(chosen);
    else problems.push(`${attribute}: the index has no package ${debianPackage}`);
  }
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const found = index.package(name);
    if (found === undefined || reached.has(name)) continue;
    const dropped = tables.droppedDependencies[name] ?? [];
    const wanted = [
      ...found.dependencies,
      ...(tables.extraDependencies[name] ?? []).map((extra) => [extra]),
    ];
    const dependencies = new Set<string>();
    for (const alternatives of wanted) {
      if (alternatives.some((one) => dropped.includes(one) || isSkipped(one, tables))) continue;
      const chosen = choose(index, alternatives);
      if (chosen === undefined) {
        problems.push(`${name}: nothing satisfies its dependency ${alternatives.join(" | ")}`);
      } else if (!isSkipped(chosen, tables)) dependencies.add(chosen);
    }
    reached.set(name, { package: found, dependencies: [...dependencies] });
    queue.push(...dependencies);
  }
  return reached;
}

function choose(index: AptIndex, alternatives: readonly string[]): string | undefined {
  for (const name of alternatives) {
    if (index.package(name) !== undefined) return name;
    const provider = index.providers(name)[0];
    if (provider !== undefined) return provider;
  }
  return undefined;
}

function isSkipped(name: string, tables: Tables): boolean {
  return tables.skipped.some((pattern) => pattern.test(name));
}

function groupOf(debianPackage: string, tables: Tables) {
  return tables.groups.find((group) =>
    group.members.some((pattern) => pattern.test(debianPackage)),
  );
}

function groupName(debianPackage: string, tables: Tables): string {
  return groupOf(debianPackage, tables)?.name ?? storeName(debianPackage);
}

function merge(reached: ReadonlyMap<string, Reached>, tables: Tables): Unshelled {
  const byGroup = new Map<string, Reached[]>();
  for (const entry of reached.values()) {
    const group = groupName(entry.package.name, tables);
    byGroup.set(group, [...(byGroup.get(group) ?? []), entry]);
  }
  const packages: Record<string, Omit<ResolvedPackage, "shell">> = {};
  for (const [name, entries] of [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const group = groupOf(entries[0]?.package.name ?? name, tables);
    const rank = (member: DebianPackage): number =>
      group?.members.findIndex((pattern) => pattern.test(member.name)) ?? 0;
    const members = entries
      .map((entry) => entry.package)
      .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    const version = storeVersion(members[0]?.version ?? "");
    const dependencies = new Set(
      entries.flatMap((entry) => entry.dependencies.map((one) => groupName(one, tables))),
    );
    dependencies.delete(name);
    packages[name] = {
      name: group?.withoutVersion ? name : `${name}-${version}`,
      version,
      dependencies: [...dependencies].sort(),
      members,
    };
  }
  return packages;
}

// Last, since a module is called by the version of an interpreter that the index has.
function nameModules(packages: Unshelled, { moduleFamilies }: Tables): Unshelled {
  const named = Object.entries(packages).map(([key, one]) => {
    for (const { interpreter, members, prefix, version } of moduleFamilies) {
      const [, module] = members.exec(key) ?? [];
      const [of] = version.exec(packages[interpreter]?.version ?? "") ?? [];
      if (module === undefined || of === undefined) continue;
      return [key, { ...one, name: `${prefix}${of}-${module}-${one.version}`, interpreter }];
    }
    return [key, one];
  });
  return Object.fromEntries(named);
}

// The shell is an input of every package, for the `#!` lines of its scripts, and an output's
// reference only of those that have such scripts: so it is no dependency in the graph.
function addShell(packages: Unshelled, tables: Tables): Packages {
  const without = new Set([...closureOf(packages, tables.shell), ...tables.withoutShell]);
  return Object.fromEntries(
    Object.entries(packages).map(([name, one]) => [name, { ...one, shell: !without.has(name) }]),
  );
}
