// What the indexes that are stored say of names: the same as Nix would, without it. Their roots and what of
// them was read of late stay in memory; what is damaged or gone counts as not known.

import { isYounger } from "../../registry/between/age.ts";
import { parseJson } from "../../registry/http/json.ts";
import type { Lookup } from "../../registry/image/lookup.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { PackageName, System } from "../../registry/naming/recipe.ts";
import { namesIn, readNames } from "../../registry/package-index/names.ts";
import {
  type Answer,
  answer,
  lookupOf,
  plan,
  setOf,
  type Unnamed,
} from "../../registry/package-index/resolve.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import { readShard, type Shard } from "../../registry/package-index/shard.ts";
import { recentValues } from "../memory/recent-values.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { lookUpIndexObject } from "../storage/stored-index.ts";
import { lookUpRoot } from "./stored-root.ts";

export interface NameInIndex {
  readonly pin: Pin;
  readonly system: System;
  readonly name: PackageName;
}

export interface PackageIndexes {
  /** Undefined where an index does not say: then Nix does. */
  lookUp(asked: NameInIndex): Promise<Lookup | undefined>;
  /** The one of a pin and system, as it is stored by now. */
  root(pin: Pin, system: System): Promise<IndexRoot | undefined>;
  /** Another one is stored from now on. */
  replaced(pin: Pin, system: System): void;
}

export interface ReadingOptions {
  readonly store: Pick<BlobStore, "lookup">;
  /** By which expressions: others may say something else (stored-root.ts). */
  readonly askedBy: string;
  readonly now: () => number;
}

const MAX_ROOTS = 16;
/** Of some 20 kB each in the storage. */
const MAX_SHARDS = 64;
/** All names of nixpkgs are 2 MB. */
const MAX_NAMES = 2;
/** Another origin that has the same storage may have made one meanwhile. */
const LOOK_AGAIN_MS = 60_000;

export function openPackageIndexes({ store, askedBy, now }: ReadingOptions): PackageIndexes {
  const roots = recentValues<{
    readonly root: Promise<IndexRoot | undefined>;
    readonly atMs: number;
  }>(MAX_ROOTS);
  const shards = recentValues<Promise<Shard | undefined>>(MAX_SHARDS);
  const names = recentValues<Promise<string | undefined>>(MAX_NAMES);
  const keyOf = (pin: Pin, system: System) => `${pin} ${system}`;

  function rootOf(pin: Pin, system: System): Promise<IndexRoot | undefined> {
    const key = keyOf(pin, system);
    const known = roots.lookup(key);
    if (known !== undefined && isYounger(known.atMs, now(), LOOK_AGAIN_MS)) return known.root;
    const root = lookUpRoot(store, pin, system).then((stored) =>
      stored?.askedBy === askedBy ? stored.root : undefined,
    );
    roots.store(key, { root, atMs: now() });
    root.catch(() => roots.store(key, { root: Promise.resolve(undefined), atMs: 0 }));
    return root;
  }

  const shardOf = (digest: Digest) =>
    recalled(shards, digest, async () => {
      const bytes = await lookUpIndexObject(store, digest);
      return bytes && readShard(parseJson(bytes));
    });
  const namesOf = (digest: Digest) =>
    recalled(names, digest, async () => {
      const bytes = await lookUpIndexObject(store, digest);
      return bytes && readNames(bytes);
    });

  async function ask(root: IndexRoot, name: string): Promise<Answer> {
    const planned = plan(root, name);
    if (planned.kind === "unknown") return planned;
    const { shard } = planned;
    if (shard === undefined) return answer(root, planned, undefined);
    const read = await shardOf(shard.digest);
    return read === undefined ? { kind: "unknown" } : answer(root, planned, read);
  }

  async function unnamed(root: IndexRoot, told: Unnamed): Promise<Lookup | undefined> {
    const all = await namesOf(root.names.digest);
    return all === undefined ? undefined : lookupOf(root, told, namesIn(all, setOf(told)));
  }

  return {
    async lookUp({ pin, system, name }) {
      const root = await rootOf(pin, system);
      if (root === undefined) return undefined;
      const told = await ask(root, name);
      switch (told.kind) {
        case "said":
          return told.lookup;
        case "missing":
        case "set":
          return await unnamed(root, told);
        case "unknown":
          return undefined;
        default:
          return told satisfies never;
      }
    },
    root: rootOf,
    replaced(pin, system) {
      roots.store(keyOf(pin, system), { root: Promise.resolve(undefined), atMs: 0 });
    },
  };
}

/** Read once by however many ask at the same time; what cannot be read is read again. */
async function recalled<Value>(
  memory: ReturnType<typeof recentValues<Promise<Value | undefined>>>,
  digest: Digest,
  read: () => Promise<Value | undefined>,
): Promise<Value | undefined> {
  const known = memory.lookup(digest);
  if (known !== undefined) {
    const value = await known.catch(() => undefined);
    if (value !== undefined) return value;
  }
  const reading = read();
  memory.store(digest, reading);
  return await reading;
}
