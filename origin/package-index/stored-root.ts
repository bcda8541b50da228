// The root of an index in the storage: read with what it was made by, since other expressions may say
// something else of a name, and replaced when all that it names is there.

import { createHash } from "node:crypto";
import * as v from "valibot";
import type { Pin } from "../../registry/naming/pin.ts";
import type { System } from "../../registry/naming/recipe.ts";
import { type IndexRoot, parseRoot, rootJson } from "../../registry/package-index/root.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";

export interface StoredRoot {
  readonly root: IndexRoot;
  readonly askedBy: string;
}

/** The expressions, and which sets were asked for besides those that ask for it themselves. */
export function askedBy(expressionsId: string, sets: readonly (readonly string[])[]): string {
  const text = JSON.stringify([expressionsId, sets]);
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

const madeBySchema = v.object({ askedBy: v.string() });

export async function lookUpRoot(
  store: Pick<BlobStore, "lookup">,
  pin: Pin,
  system: System,
): Promise<StoredRoot | undefined> {
  const bytes = await store.lookup(storageKey.index(pin, system));
  if (bytes === undefined) return undefined;
  const json = parseStoredJson(bytes);
  const root = parseRoot(json);
  const made = v.safeParse(madeBySchema, json);
  return root && made.success ? { root, askedBy: made.output.askedBy } : undefined;
}

export async function storeRoot(
  store: Pick<BlobStore, "store">,
  { root, askedBy: by }: StoredRoot,
): Promise<void> {
  const json = { ...(rootJson(root) as object), askedBy: by };
  await store.store(storageKey.index(root.pin, root.system), storedJson(json));
}

/** Whether all that it names is there. */
export async function isWhole(
  store: Pick<BlobStore, "sizeBytes">,
  { shards, names, texts }: IndexRoot,
): Promise<boolean> {
  for (const { digest } of [...shards, names, texts]) {
    if ((await store.sizeBytes(storageKey.indexObject(digest))) === undefined) return false;
  }
  return true;
}
