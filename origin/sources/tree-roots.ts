// The trees that were fetched, each kept in the store by GC roots of its own:
//
//   <revision>/<source>/tree      the tree; made last, so that what it leads to is kept by then
//   <revision>/<source>/input…    of a flake, the trees of its inputs
//
// `<revision>` is a pin without its configuration, which changes no file; `<source>` stands for where
// it was fetched from. A folder's time says when its tree was last used.

import { createHash } from "node:crypto";
import { mkdir, readdir, readlink, rm, rmdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { configuredPin, type Pin, parsePin } from "../../registry/naming/pin.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { PinnedSource } from "../nix/pinned-source.ts";
import { findInvalid } from "../nix/validity.ts";
import { CLONE_PREFIX } from "./fetch-revision.ts";

export interface KeptTree {
  readonly key: string;
  readonly revision: Pin;
  readonly usedAtMs: number;
}

export interface TreeRoots {
  /** The tree, if it and all that was fetched with it are still in the store. */
  find(key: string, signal: AbortSignal): Promise<StorePath | undefined>;
  /** False where one of them is gone already. */
  keep(
    key: string,
    paths: readonly [StorePath, ...StorePath[]],
    signal: AbortSignal,
  ): Promise<boolean>;
  noteUse(key: string, nowMs: number): Promise<void>;
  list(): Promise<readonly KeptTree[]>;
  drop(key: string): Promise<void>;
}

const ROOT_DEADLINE_MS = 60_000;
const TREE = "tree";

export function treeKey(pin: Pin, source: PinnedSource): string {
  const where = "url" in source ? [source.kind, source.url] : [source.kind, source.path];
  const id = createHash("sha256").update(where.join("\0")).digest("hex").slice(0, 16);
  return `${configuredPin(pin, "")}/${id}`;
}

/** Removes what a process that died was about to fetch. */
export async function openTreeRoots(nix: NixTool, folder: string): Promise<TreeRoots> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder)) {
    if (name.startsWith(CLONE_PREFIX)) await rm(join(folder, name), { recursive: true });
  }

  async function add(place: string, paths: readonly StorePath[], signal: AbortSignal) {
    const args = ["--realise", ...paths, "--add-root", place, "--indirect"];
    const result = await nix.run("nix-store", args, { deadlineMs: ROOT_DEADLINE_MS, signal });
    return result.kind === "exited" && result.code === 0;
  }

  return {
    async find(key, signal) {
      const roots = await rootsIn(join(folder, key));
      const tree = roots.get(TREE);
      if (tree === undefined) return undefined;
      const invalid = await findInvalid(nix, [...roots.values()], signal);
      return invalid.size === 0 ? tree : undefined;
    },
    async keep(key, [tree, ...inputs], signal) {
      const place = join(folder, key);
      await rm(place, { recursive: true, force: true });
      await mkdir(place, { recursive: true });
      if (inputs.length > 0 && !(await add(join(place, "input"), inputs, signal))) return false;
      return await add(join(place, TREE), [tree], signal);
    },
    noteUse: (key, nowMs) => utimes(join(folder, key), nowMs / 1000, nowMs / 1000),
    async list() {
      const revisions = (await readdir(folder)).flatMap((name) => parsePin(name) ?? []);
      const kept = await Promise.all(revisions.map((revision) => treesOf(folder, revision)));
      return kept.flat();
    },
    async drop(key) {
      await rm(join(folder, key), { recursive: true, force: true });
      // Another source may have the same revision.
      const [revision = ""] = key.split("/");
      await rmdir(join(folder, revision)).catch(() => undefined);
    },
  };
}

async function treesOf(folder: string, revision: Pin): Promise<readonly KeptTree[]> {
  const ids = await readdir(join(folder, revision));
  return await Promise.all(
    ids.map(async (id) => {
      const { mtimeMs } = await stat(join(folder, revision, id));
      return { key: `${revision}/${id}`, revision, usedAtMs: mtimeMs };
    }),
  );
}

async function rootsIn(place: string): Promise<ReadonlyMap<string, StorePath>> {
  const roots = new Map<string, StorePath>();
  for (const name of await readdir(place).catch(() => [])) {
    const target = parseStorePath(await readlink(join(place, name)).catch(() => ""));
    if (target !== undefined) roots.set(name, target);
  }
  return roots;
}
