// A package set in a folder of this host, pinned by its content. Looking at a tree is cheap and
// reading it is not, so it is read again only when it looks changed.

import { realpath } from "node:fs/promises";
import { isYounger } from "../../registry/between/age.ts";
import type { Resolution } from "./source.ts";
import { lookAtTree, type TreeLook } from "./tree-signature.ts";

export interface LocalTree {
  /** Undefined for a tree so large that a client should not wait for it. */
  resolveAtOnce(): Promise<Resolution | undefined>;
  resolve(): Promise<Resolution>;
}

export interface LocalTreeOptions {
  readonly path: string;
  /** Whether a `.git` directly below the path is part of what is pinned. */
  readonly withGit: boolean;
  /** Reads the whole tree at a path without symbolic links. */
  readonly pin: (realPath: string) => Promise<Resolution>;
  /** Of the wall clock, which file systems use too. */
  readonly now: () => number;
}

/** How soon a large tree is looked at again, behind the answers. */
export const LARGE_TREE_RECHECK_MS = 1000;
// Looked at within some 10 ms, read within some 100 ms.
const AT_ONCE_ENTRIES = 1000;
const AT_ONCE_BYTES = 32 * 1024 * 1024;
// nixpkgs has some 80,000. A larger tree is never looked at, only read.
const MAX_ENTRIES = 500_000;
/** A large tree is looked at for a twentieth of the time at most. */
const REST_FACTOR = 20;
const MAX_READINGS = 3;
/**
 * Times of files have the grain of the kernel's clock, up to 10 ms: a change that is younger than
 * this when the reading starts may be followed by another that looks the same.
 */
const SETTLED_MS = 50;

interface Reading {
  readonly realPath: string;
  /** Null where the tree may have changed without looking it. */
  readonly signature: string | null;
  readonly resolution: Resolution;
}

export function openLocalTree({ path, withGit, pin, now }: LocalTreeOptions): LocalTree {
  let last: Reading | undefined;
  let rest = { atMs: 0, forMs: 0 };
  const look = (realPath: string, maxEntries: number) => lookAtTree(realPath, maxEntries, withGit);

  async function resolveAtOnce(): Promise<Resolution | undefined> {
    const realPath = await realpath(path);
    const seen = await look(realPath, AT_ONCE_ENTRIES);
    if (seen.kind === "too-large") return undefined;
    if (seen.sizeBytes > AT_ONCE_BYTES && !isLast(realPath, seen)) return undefined;
    return await read(realPath, seen);
  }

  async function resolve(): Promise<Resolution> {
    if (last !== undefined && isYounger(rest.atMs, now(), rest.forMs)) return last.resolution;
    const realPath = await realpath(path);
    const startedMs = now();
    const seen = await look(realPath, MAX_ENTRIES);
    const lookedMs = now() - startedMs;
    const resolution = await read(realPath, seen);
    const spentMs = seen.kind === "seen" ? lookedMs : now() - startedMs;
    rest = { atMs: now(), forMs: REST_FACTOR * spentMs };
    return resolution;
  }

  function isLast(realPath: string, seen: TreeLook): boolean {
    return seen.kind === "seen" && last?.realPath === realPath && last.signature === seen.signature;
  }

  /** Reads the tree unless it looks as it did, and again if it was written to meanwhile. */
  async function read(realPath: string, seen: TreeLook): Promise<Resolution> {
    if (last !== undefined && isLast(realPath, seen)) return last.resolution;
    let before = seen;
    for (let readings = 0; readings < MAX_READINGS; readings++) {
      const startedMs = now();
      const resolution = await pin(realPath);
      const after = await look(realPath, MAX_ENTRIES);
      if (after.kind === "too-large" || before.kind === "too-large") {
        last = { realPath, signature: null, resolution };
        return resolution;
      }
      if (after.signature === before.signature) {
        const isSettled = startedMs - after.changedAtMs > SETTLED_MS;
        last = { realPath, signature: isSettled ? after.signature : null, resolution };
        return resolution;
      }
      before = after;
    }
    return { kind: "unreachable", message: "the package set is being written to" };
  }

  return {
    resolveAtOnce: joined(() => orUnreadable(resolveAtOnce)),
    resolve: () => orUnreadable(resolve),
  };
}

async function orUnreadable<T>(read: () => Promise<T>) {
  try {
    return await read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { kind: "unreachable", message: `the package set cannot be read: ${code}` } as const;
  }
}

function joined<T>(run: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= run().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
