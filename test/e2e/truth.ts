// What an image must hold, said without nixport's own code: the store paths as they are on this
// host, the few files of every Unix, and links into the packages. One list for all clients.

import { join } from "node:path";
import { expect } from "vitest";
import { debianSetNixConfig } from "../../origin/command/host.ts";
import { run } from "./daemon.ts";
import { DEBIAN_SET } from "./deployment.ts";
import {
  type FileEntry,
  type Listing,
  listDirectory,
  readEntry,
  resolveInside,
} from "./listing.ts";

export interface Truth {
  /** The packages' own store paths, relative to the root. */
  readonly packages: readonly string[];
  /** Everything below `nix/store`. */
  readonly store: Listing;
  /** Links that lead to the image's own folders, by their paths. */
  readonly links: ReadonlyMap<string, string>;
}

/** Of an image with `fhs` in its name. */
export const FHS_LINKS: Truth["links"] = new Map([
  ["usr/bin", "../bin"],
  ["usr/lib64", "../lib"],
  ["run/current-system/sw/share/nix-ld/lib", "/lib"],
]);

/** Of the packages' attributes in the Debian-backed set; they must be realised on this host. */
export async function readTruth(
  attributes: readonly string[],
  links: Truth["links"] = new Map(),
): Promise<Truth> {
  const env = { NIX_CONFIG: debianSetNixConfig(process.env.NIX_CONFIG) };
  const names = attributes.map((name) => `set.${name}.outPath`).join(" ");
  const expression = `let set = import ${DEBIAN_SET} { }; in toString [ ${names} ]`;
  const evaluate = ["--eval", "--json", "--expr", expression];
  const packages = (JSON.parse(await run("nix-instantiate", evaluate, env)) as string).split(" ");
  const closure = await run("nix-store", ["--query", "--requisites", ...packages], env);
  const store = new Map<string, FileEntry>();
  for (const path of closure.trim().split("\n")) {
    for (const [name, entry] of listStorePath(path)) store.set(name, entry);
  }
  return { packages: packages.map((path) => path.slice(1)), store, links };
}

const known = new Map<string, Listing>();

/** Images share most of their paths, and each is read once. */
function listStorePath(path: string): Listing {
  const listed = known.get(path) ?? readStorePath(path);
  known.set(path, listed);
  return listed;
}

function readStorePath(path: string): Listing {
  const top = path.slice(1);
  const entry = readEntry(path);
  const below: Listing = entry.type === "directory" ? listDirectory(path) : new Map();
  return new Map([
    [top, asPacked(entry)],
    ...[...below].map(([name, found]) => [join(top, name), asPacked(found)] as const),
  ]);
}

/** Nix's canonical attributes, whatever this host's store has: readable by all, writable by none. */
function asPacked(entry: FileEntry): FileEntry {
  const isPlainFile = entry.type === "file" && (entry.mode & 0o100) === 0;
  const mode = entry.type === "link" ? 0o777 : isPlainFile ? 0o444 : 0o555;
  return { ...entry, mode, owner: "0:0", mtimeSeconds: 1 };
}

/** What every image has whatever its packages: path, type, mode, and whose it is if not root's. */
const BASE: readonly (readonly [path: string, type: string, mode: number, owner?: string])[] = [
  ["dev", "directory", 0o755],
  ["etc", "directory", 0o755],
  ["etc/group", "file", 0o644],
  ["etc/nsswitch.conf", "file", 0o644],
  ["etc/os-release", "file", 0o644],
  ["etc/passwd", "file", 0o644],
  ["etc/pki/tls/cert.pem", "link", 0o777],
  ["etc/pki/tls/certs/ca-bundle.crt", "link", 0o777],
  ["etc/profile", "file", 0o644],
  ["etc/shells", "file", 0o644],
  ["etc/ssl/cert.pem", "link", 0o777],
  ["etc/ssl/certs/ca-certificates.crt", "link", 0o777],
  ["home", "directory", 0o755],
  ["home/nonroot", "directory", 0o700, "65532:65532"],
  ["mnt", "directory", 0o755],
  ["nix", "directory", 0o755],
  ["nix/store", "directory", 0o755],
  ["opt", "directory", 0o755],
  ["proc", "directory", 0o755],
  ["root", "directory", 0o700],
  ["run", "directory", 0o755],
  ["run/lock", "directory", 0o1777],
  ["srv", "directory", 0o755],
  ["sys", "directory", 0o755],
  ["tmp", "directory", 0o1777],
  ["usr/lib/os-release", "link", 0o777],
  ["usr/lib/ssl", "link", 0o777],
  ["usr/local/bin", "directory", 0o755],
  ["usr/share/terminfo", "link", 0o777],
  ["usr/share/zoneinfo", "link", 0o777],
  ["var", "directory", 0o755],
  ["var/cache", "directory", 0o755],
  ["var/empty", "directory", 0o555],
  ["var/lib", "directory", 0o755],
  ["var/lock", "link", 0o777],
  ["var/log", "directory", 0o755],
  ["var/run", "link", 0o777],
  ["var/tmp", "directory", 0o1777],
];
/** Nix's own notes, which no view shows. */
const HIDDEN = /^nix-support(?:\/|$)/;

/** Holds an unpacked image to the truth; each difference is a line of the failure. */
export function assertImage(listing: Listing, truth: Truth): void {
  const isStore = (path: string) => path.startsWith("nix/store/");
  const store = new Map([...listing].filter(([path]) => isStore(path)));
  assertSame(store, truth.store);

  const problems: string[] = [];
  const base = new Map(BASE.map(([path, type, mode, owner]) => [path, { type, mode, owner }]));
  for (const [path, target] of truth.links) {
    base.set(path, { type: "link", mode: 0o777, owner: undefined });
    const found = listing.get(path)?.content;
    if (found !== target) problems.push(`${path} -> ${found}, not ${target}`);
  }
  for (const path of base.keys()) if (!listing.has(path)) problems.push(`${path} is missing`);
  for (const [path, entry] of listing) {
    if (isStore(path)) continue;
    const known = base.get(path);
    const { type, mode } = known ?? {
      type: entry.type,
      mode: entry.type === "link" ? 0o777 : 0o755,
    };
    const expected = { ...entry, type, mode, owner: known?.owner ?? "0:0", mtimeSeconds: 1 };
    if (describe(entry) !== describe(expected)) {
      problems.push(`${path} is ${describe(entry)}, not ${describe(expected)}`);
    }
    if (!base.has(path) && type !== "directory") problems.push(...linkProblems(listing, path));
  }
  problems.push(...unseen(listing, truth));
  expect(problems).toStrictEqual([]);
}

/** Every link of a view leads to a file of the image, inside the store. */
function linkProblems(listing: Listing, path: string): readonly string[] {
  const entry = listing.get(path);
  if (entry?.type !== "link") return [`${path} is a ${entry?.type}`];
  if (!entry.content.startsWith("/nix/store/")) return [`${path} -> ${entry.content}`];
  const end = resolveInside(listing, path);
  return end === undefined ? [`${path} -> ${entry.content} dangles`] : [];
}

/** Every regular file of a package is seen at its place below the root, from one of the packages. */
function unseen(listing: Listing, { packages, store }: Truth): readonly string[] {
  return packages.flatMap((top) =>
    [...store].flatMap(([inStore, entry]) => {
      if (!inStore.startsWith(`${top}/`) || entry.type !== "file") return [];
      const path = inStore.slice(top.length + 1);
      if (HIDDEN.test(path)) return [];
      const target = listing.get(path)?.content;
      const isSeen = packages.some((other) => target === `/${other}/${path}`);
      return isSeen ? [] : [`${path} -> ${target}, not ${inStore}`];
    }),
  );
}

const MAX_SHOWN = 40;

export function assertSame(actual: Listing, expected: Listing): void {
  const paths = [...new Set([...actual.keys(), ...expected.keys()])].sort();
  const differences = paths.flatMap((path) => {
    const [is, wanted] = [describe(actual.get(path)), describe(expected.get(path))];
    return is === wanted ? [] : [`${path}: ${is}, not ${wanted}`];
  });
  expect(differences.slice(0, MAX_SHOWN), `${differences.length} differences`).toStrictEqual([]);
}

function describe(entry: FileEntry | undefined): string {
  if (entry === undefined) return "absent";
  const { type, mode, owner, mtimeSeconds, content } = entry;
  return `${type} ${mode.toString(8)} ${owner} @${mtimeSeconds} ${content}`.trim();
}
