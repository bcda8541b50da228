// The view of a package: the directories and links that show its files at the image's root. Views
// are put on top of one another by overlay, so a view never holds a link where another may hold a
// directory: clients let the upper hide the lower then, and a package's programs would be gone.

import {
  type FallbackLink,
  type Link,
  type LocaleFacts,
  type ModuleKind,
  WELL_KNOWN_PATHS,
  type WellKnownPath,
} from "../../registry/image/record.ts";
import { type StorePath, storePathPackage } from "../../registry/naming/store-path.ts";
import { BASE_ENTRIES } from "./base.ts";
import { type ByteString, isAscii, readableText } from "./byte-string.ts";
import { type ClosureFiles, openClosure } from "./closure-files.ts";
import { type ArchiveEntry, DIRECTORY_MODE } from "./entries.ts";
import { readLocale } from "./locale.ts";
import { WHITEOUT_PREFIX } from "./tar.ts";

/** Of one package, or of a whole part. */
export interface PackageView {
  /** Null for an output with nothing to link, such as a single file. */
  readonly entries: readonly ArchiveEntry[] | null;
  readonly provides: readonly (WellKnownPath | "/bin/bash")[];
  /** Links to what the package lacks and its closure has. */
  readonly fallbacks: readonly FallbackLink[];
  /** Links that hide what any view has there. */
  readonly above: readonly Link[];
  /** The program in `bin/` that a user most likely wants. */
  readonly program: string | null;
  readonly locale: LocaleFacts;
  /** Of which interpreters a part shows modules. */
  readonly modules: readonly ModuleKind[];
}

export type ViewResult =
  | { readonly kind: "view"; readonly view: PackageView }
  /** Too large to be shown, or without what its part is for. */
  | { readonly kind: "unfit"; readonly reason: string };

/**
 * Far beyond what a useful package has; the entries of a view are held in memory, some 100 bytes
 * each.
 */
export const MAX_VIEW_ENTRIES = 200_000;
export const MAX_VIEW_DEPTH = 64;

/** Never shown: Nix's own notes, what would shadow the store, and what the runtime mounts. */
const HIDDEN: ReadonlySet<string> = new Set([
  "dev",
  "etc/hostname",
  "etc/hosts",
  "etc/mtab",
  "etc/resolv.conf",
  "nix",
  "nix-support",
  "proc",
  "sys",
]);

/** A view lies above the base: its entry for `/tmp` must not take the sticky bit away. */
const BASE_DIRECTORIES: ReadonlyMap<ByteString, ArchiveEntry> = new Map(
  BASE_ENTRIES.flatMap((entry) => (entry.kind === "directory" ? [[entry.path, entry]] : [])),
);

/**
 * Directories or nothing: a file or link in such a place would hide the directories of all views
 * below it, or send what a program writes there to the read-only store.
 */
const DIRECTORIES_ONLY: ReadonlySet<string> = new Set([
  ...["bin", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share", "usr/bin"],
  // Links to directories, which the base has there.
  ...["usr/share/terminfo", "usr/share/zoneinfo", "var/lock", "var/run"],
  ...BASE_DIRECTORIES.keys(),
]);

/** Looks at a package as it is in the store. `closure` holds the package's own path too. */
export function readView(
  root: StorePath,
  closure: readonly StorePath[],
  storeDirectory: string,
): ViewResult {
  const files = openClosure(closure, storeDirectory);
  const top = files.resolve(root);
  const walked = top?.kind === "directory" ? walkTree(files, root, top.path) : null;
  if (typeof walked === "string") return { kind: "unfit", reason: `${root} ${walked}` };

  const entries = new Map((walked ?? []).map((entry) => [entry.path, entry]));
  const isProgram = (path: string) => files.resolve(path)?.kind === "program";
  const provide = (path: ByteString, target: string) => {
    if (walked === null || entries.has(path) || !isProgram(target)) return;
    entries.set(path, { kind: "link", path, target });
  };
  provide("bin/sh", `${root}/bin/bash`);
  provide("usr/bin/env", `${root}/bin/env`);

  const provides = (["/bin/sh", "/usr/bin/env", "/bin/bash"] as const).filter((path) => {
    const entry = entries.get(path.slice(1));
    return entry?.kind === "link" && isProgram(entry.target);
  });
  const fallbacks = WELL_KNOWN_PATHS.flatMap((path) => {
    if (provides.includes(path)) return [];
    const target = findFallback(path, closure, isProgram);
    return target === undefined ? [] : [{ path, target }];
  });
  const view = {
    entries: entries.size === 0 ? null : [...entries.values()],
    provides,
    fallbacks,
    above: [],
    program: walked === null ? null : mainProgram(files, root),
    locale: readLocale(files, closure, (path) => entries.has(path)),
    modules: [],
  };
  return { kind: "view", view };
}

/**
 * The entries of a package's tree, or what is too large about it; of the part below a folder `at`, which
 * really is `top`, where not all are wanted.
 */
export function walkTree(
  files: ClosureFiles,
  root: StorePath,
  top: ByteString,
  at: ByteString = "",
): ArchiveEntry[] | string {
  const entries: ArchiveEntry[] = [];
  let problem: string | undefined;
  // `path` is where the user sees the directory, `real` where it is; `above` are the real places of
  // this walk: a link back to one of them would have no end.
  const descend = (path: ByteString, real: ByteString, above: readonly ByteString[]) => {
    if (above.length >= MAX_VIEW_DEPTH) {
      problem = `has directories more than ${MAX_VIEW_DEPTH} deep: ${readableText(path)}`;
    }
    for (const name of files.names(real)) {
      if (entries.length >= MAX_VIEW_ENTRIES) {
        problem = `has more than ${MAX_VIEW_ENTRIES} files to link`;
      }
      if (problem !== undefined) return;
      const shown = path === "" ? name : `${path}/${name}`;
      if (HIDDEN.has(shown) || name.startsWith(WHITEOUT_PREFIX)) continue;
      const found = files.resolve(name, real);
      if (found?.kind === "directory" && found.path !== real && !above.includes(found.path)) {
        const plain = { kind: "directory", path: shown, mode: DIRECTORY_MODE } as const;
        entries.push(BASE_DIRECTORIES.get(shown) ?? plain);
        descend(shown, found.path, [...above, real]);
      } else if (!DIRECTORIES_ONLY.has(shown)) {
        entries.push({ kind: "link", path: shown, target: `${root}/${shown}` });
      }
    }
  };
  descend(at, top, []);
  return problem ?? entries;
}

/** The same whatever the order of the closure; a real `sh` before a bash that can act as one. */
function findFallback(
  path: WellKnownPath,
  closure: readonly StorePath[],
  isProgram: (path: string) => boolean,
): string | undefined {
  const programs = { "/bin/sh": ["bin/sh", "bin/bash"], "/usr/bin/env": ["bin/env"] }[path];
  const sorted = [...closure].sort();
  return programs
    .flatMap((program) => sorted.map((storePath) => `${storePath}/${program}`))
    .find(isProgram);
}

/** The one named like the package, else the only one. */
function mainProgram(files: ClosureFiles, root: StorePath): string | null {
  const bin = files.resolve(`${root}/bin`);
  if (bin?.kind !== "directory") return null;
  // What a wrapper wraps (`.git-wrapped`) is no program of the user's.
  const programs = files
    .names(bin.path)
    .filter((name) => !name.startsWith(".") && isAscii(name))
    .filter((name) => files.resolve(name, bin.path)?.kind === "program");
  const namesake = storePathPackage(root);
  if (programs.includes(namesake)) return namesake;
  return programs.length === 1 ? (programs[0] ?? null) : null;
}
