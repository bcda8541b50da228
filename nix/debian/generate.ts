// Writes a self-contained package-set folder from the machine's apt index: the command line and
// `generateDebianSet` for the programs that call it.

import { basename, resolve as resolvePath } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { AptIndexAbsent, readAptIndex } from "./apt-index.ts";
import {
  type AttributeSet,
  closureOf,
  type Lock,
  type LockedAttribute,
  leaves,
  lockFileName,
  popularityOf,
} from "./lock.ts";
import { type RootRow, TABLES } from "./packages.ts";
import { type Packages, resolve } from "./resolve.ts";
import { CommandError } from "./run.ts";
import { writeSetFolder } from "./set-folder.ts";
import { storeName } from "./version.ts";

// Debian's architecture, Nix's system, and what an architecture calls its library folder and
// loader.
const ARCHITECTURES = {
  amd64: {
    system: "x86_64-linux",
    multiarch: "x86_64-linux-gnu",
    loader: "lib/ld-linux-x86-64.so.2",
  },
} as const;

export interface GenerateOptions {
  readonly outDir: string;
  readonly architecture?: string;
}

export interface RootSummary {
  readonly attribute: string;
  readonly packages: number;
  readonly downloadBytes: number;
  readonly installedBytes: number;
}

export interface Summary {
  readonly outDir: string;
  readonly system: string;
  readonly changed: boolean;
  readonly packages: number;
  readonly debs: number;
  readonly downloadBytes: number;
  readonly roots: readonly RootSummary[];
}

export class DebianSetError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the Debian package set cannot be generated:\n${problems.join("\n")}`);
    this.name = "DebianSetError";
    this.problems = problems;
  }
}

export async function generateDebianSet(options: GenerateOptions): Promise<Summary> {
  const architecture = options.architecture ?? "amd64";
  const target = Object.entries(ARCHITECTURES).find(([name]) => name === architecture)?.[1];
  if (target === undefined) {
    const known = Object.keys(ARCHITECTURES).join(", ");
    throw new DebianSetError([`unknown architecture ${architecture}; known: ${known}`]);
  }
  const resolution = resolve(await readAptIndex(architecture), TABLES);
  if (resolution.kind === "failed") throw new DebianSetError(resolution.problems);
  const { packages, rootPackages } = resolution;
  const { system, multiarch, loader } = target;
  const lock: Lock = {
    formatVersion: 1,
    architecture,
    multiarch,
    loader,
    shell: TABLES.shell,
    attributes: attributeSet(TABLES.roots, rootPackages),
    packages: lockedPackages(packages),
  };
  const outDir = resolvePath(options.outDir);
  const changed = await writeSetFolder(outDir, {
    [lockFileName(system)]: json(lock),
    "popularity.json": json(popularityOf(lock)),
  });
  return { outDir, system, changed, ...summarise(lock, packages) };
}

function attributeSet(
  roots: readonly RootRow[],
  rootPackages: ReadonlyMap<string, string>,
): AttributeSet {
  interface Mutable {
    [name: string]: LockedAttribute | Mutable;
  }
  const attributes: Mutable = {};
  for (const [path, debianPackage, mainProgram, license] of sortedBy(roots, ([name]) => name)) {
    const names = path.split(".");
    const last = names.pop() ?? path;
    let set = attributes;
    for (const name of names) {
      // A nested set never has the name of a package: the roots table has no `a` next to `a.b`.
      set[name] ??= {};
      set = set[name] as Mutable;
    }
    set[last] = {
      package: rootPackages.get(debianPackage) ?? debianPackage,
      ...(mainProgram === undefined ? {} : { mainProgram }),
      ...(license === undefined ? {} : { license }),
    };
  }
  return attributes;
}

function lockedPackages(packages: Packages): Lock["packages"] {
  return Object.fromEntries(
    Object.entries(packages).map(([key, { name, version, dependencies, shell, members }]) => {
      const [first] = members;
      const homepage = first?.homepage;
      const debs = members.map((member) => ({
        package: member.name,
        version: member.version,
        file: storeName(basename(member.url)),
        // As apt does: some servers read a bare `+` as a space.
        url: member.url.replaceAll("+", "%2b").replaceAll("~", "%7e"),
        sizeBytes: member.sizeBytes,
        sha256: member.sha256,
      }));
      return [
        key,
        {
          name,
          version,
          description: first?.description ?? "",
          ...(homepage === undefined ? {} : { homepage }),
          dependencies,
          shell,
          debs: sortedBy(debs, (deb) => deb.package),
        },
      ];
    }),
  );
}

function summarise(lock: Lock, packages: Packages) {
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
    packages: all.length,
    debs: all.flatMap((name) => packages[name]?.members ?? []).length,
    downloadBytes: sum(all, "sizeBytes"),
    roots,
  };
}

function sortedBy<T>(items: readonly T[], key: (item: T) => string): readonly T[] {
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 1)}\n`;
}

const HELP = `Usage: node nix/debian/generate.ts [--architecture amd64] --out DIR

Writes a Nix package set made of Debian's packages to DIR, from the machine's apt index.
Run \`apt-get update\` first for a fresh index. Then: nix-build DIR -A htop
`;

async function main(args: readonly string[]): Promise<number> {
  let options: { out?: string; architecture?: string; help?: boolean };
  try {
    options = parseArgs({
      args: [...args],
      options: {
        out: { type: "string" },
        architecture: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (options.help === true || options.out === undefined) {
    (options.help === true ? console.log : console.error)(HELP);
    return options.help === true ? 0 : 2;
  }
  try {
    const { out: outDir, architecture } = options;
    const summary = await generateDebianSet({
      outDir,
      ...(architecture === undefined ? {} : { architecture }),
    });
    console.log(summaryText(summary));
    return 0;
  } catch (error) {
    const expected =
      error instanceof DebianSetError ||
      error instanceof AptIndexAbsent ||
      error instanceof CommandError;
    if (!expected) throw error;
    console.error(error.message);
    return 1;
  }
}

function summaryText(summary: Summary): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1).padStart(9);
  const rows = summary.roots.map(
    (root) =>
      root.attribute.padEnd(28) +
      String(root.packages).padStart(9) +
      megabytes(root.downloadBytes) +
      megabytes(root.installedBytes),
  );
  return [
    `${"attribute".padEnd(28)} closure  .deb MB  disk MB`,
    ...rows,
    `${summary.roots.length} attributes, ${summary.packages} packages from ${summary.debs} .debs ` +
      `(${megabytes(summary.downloadBytes).trim()} MB) for ${summary.system}`,
    `${summary.outDir}: ${summary.changed ? "written" : "unchanged"}`,
  ].join("\n");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = await main(process.argv.slice(2));
}
