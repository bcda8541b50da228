// Gives the edge one value again, out of the origin's storage. The edge takes it only where it is whole and all
// that it names is there.

import { parseJson } from "../../registry/http/json.ts";
import { parseFound } from "../../registry/image/lookup.ts";
import { parseManifest } from "../../registry/image/named-blobs.ts";
import { parsePackageRecord } from "../../registry/image/record.ts";
import { encodeObjects } from "../../registry/package-index/bodies.ts";
import { pack } from "../../registry/package-index/gzip.ts";
import { encodeRoot } from "../../registry/package-index/root.ts";
import type { EdgeClient, PushResult } from "../backfill/edge-client.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { parseStorageKey, type StorageKey, storageKey } from "../storage/keys.ts";
import { lookUpIndexRoot, unpackIndexObject } from "../storage/stored-index.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

export interface Giving {
  readonly edge: Omit<EdgeClient, "postPointers" | "askValues" | "postRemovals">;
  readonly store: Pick<BlobStore, "lookup" | "open" | "sizeBytes" | "remove">;
}

/** What an edge takes before what. */
export const GIVING_ORDER = [
  "layers",
  "records",
  "lookups",
  "manifests",
  "index-objects",
  "index",
] as const;

/** Whether the edge has it now. */
export async function giveValue({ edge, store }: Giving, key: StorageKey): Promise<boolean> {
  const of = parseStorageKey(key);
  switch (of?.collection) {
    case "layers": {
      const { digest } = of;
      const sizeBytes = await store.sizeBytes(key);
      const isGiven =
        sizeBytes !== undefined &&
        isTaken(await edge.putBlob({ digest, sizeBytes, open: (range) => store.open(key, range) }));
      // Believed to be there it would not be sent with the image that needs it.
      if (!isGiven) await store.remove(storageKey.pushed(edge.url, digest));
      return isGiven;
    }
    case "records": {
      const record = parsePackageRecord(await json(store, key));
      return record !== undefined && isTaken(await edge.postRecords({ records: [record] }));
    }
    case "lookups": {
      const found = parseFound(await json(store, key));
      const { pin, system, name } = of;
      const lookups = found === undefined ? [] : [{ name, found }];
      return lookups.length > 0 && isTaken(await edge.postLookups({ pin, system, lookups }));
    }
    case "manifests": {
      const bytes = await store.lookup(key);
      const manifest = bytes && parseManifest(parseJson(bytes));
      if (bytes === undefined || manifest === undefined) return false;
      return isTaken(await edge.putManifest(of.digest, manifest.mediaType, bytes));
    }
    case "index-objects": {
      const { digest } = of;
      const packed = await store.lookup(key);
      const isWhole = packed && (await unpackIndexObject(packed, digest)) !== undefined;
      const isGiven =
        isWhole === true &&
        isTaken(await edge.postIndexObjects(encodeObjects([{ digest, packed }])));
      if (!isGiven) await store.remove(storageKey.pushed(edge.url, digest));
      return isGiven;
    }
    case "index": {
      const root = await lookUpIndexRoot(store, of.pin, of.system);
      return root !== undefined && isTaken(await edge.postIndexRoot(await pack(encodeRoot(root))));
    }
    default:
      return false;
  }
}

async function json(store: Giving["store"], key: StorageKey): Promise<unknown> {
  const bytes = await store.lookup(key);
  return bytes && parseStoredJson(bytes);
}

function isTaken({ kind }: PushResult): boolean {
  return kind === "accepted";
}
