// Documents that this isolate served or composed lately, by digest: manifests, and the configs they
// name. Plain bytes, bounded in all, never stale; for a day, since what they name may be swept when nobody
// pulls it for longer. The least recently used make room. An isolate has 128 MB for all its concurrent requests.

import { isYounger } from "../../registry/between/age.ts";
import type { Digest } from "../../registry/naming/digest.ts";

export interface Document {
  readonly digest: Digest;
  /** Exactly the bytes whose digest it is. */
  readonly bytes: Uint8Array;
}

export interface DocumentMemory<Kind extends Document> {
  lookup(digest: Digest): Kind | undefined;
  store(document: Kind): void;
}

const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
const MAX_DOCUMENT_BYTES = 256 * 1024;
const LIFE_MS = 86_400_000;

export function createDocumentMemory<Kind extends Document>(
  maxTotalBytes = MAX_TOTAL_BYTES,
  now = Date.now,
): DocumentMemory<Kind> {
  // A Map keeps the order of insertion, so re-inserting on use makes its first key the oldest.
  const documents = new Map<Digest, { readonly document: Kind; readonly atMs: number }>();
  let totalBytes = 0;

  function remove(document: Kind): void {
    if (documents.delete(document.digest)) totalBytes -= document.bytes.length;
  }

  return {
    lookup(digest) {
      const known = documents.get(digest);
      if (known === undefined) return undefined;
      if (!isYounger(known.atMs, now(), LIFE_MS)) {
        remove(known.document);
        return undefined;
      }
      documents.delete(digest);
      documents.set(digest, known);
      return known.document;
    },
    store(document) {
      if (document.bytes.length > MAX_DOCUMENT_BYTES) return;
      remove(document);
      documents.set(document.digest, { document, atMs: now() });
      totalBytes += document.bytes.length;
      for (const oldest of documents.values()) {
        if (totalBytes <= maxTotalBytes) break;
        remove(oldest.document);
      }
    },
  };
}
