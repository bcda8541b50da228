// Manifests and configs of late, by digest: what a client asks for right after their tag. Each kind is
// bounded by bytes; the least recently used make room.

import type { Digest } from "../../registry/naming/digest.ts";

export interface Document {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

export interface RecentDocuments {
  lookup(digest: Digest): Uint8Array | undefined;
  store(document: Document): void;
}

/** Apart, since a config is asked for as a blob, and is no manifest. */
export interface RecentImages {
  readonly manifests: RecentDocuments;
  readonly configs: RecentDocuments;
}

/** Of some kilobytes each. */
const MAX_TOTAL_BYTES = 8 << 20;

export function rememberImages(): RecentImages {
  return { manifests: rememberDocuments(), configs: rememberDocuments() };
}

export function rememberDocuments(maxTotalBytes = MAX_TOTAL_BYTES): RecentDocuments {
  // A Map keeps the order of insertion, so re-inserting on use makes its first key the oldest.
  const documents = new Map<Digest, Uint8Array>();
  let totalBytes = 0;

  function remove(digest: Digest): void {
    totalBytes -= documents.get(digest)?.length ?? 0;
    documents.delete(digest);
  }

  return {
    lookup(digest) {
      const bytes = documents.get(digest);
      if (bytes === undefined) return undefined;
      documents.delete(digest);
      documents.set(digest, bytes);
      return bytes;
    },
    store({ digest, bytes }) {
      remove(digest);
      documents.set(digest, bytes);
      totalBytes += bytes.length;
      for (const oldest of documents.keys()) {
        if (totalBytes <= maxTotalBytes) break;
        remove(oldest);
      }
    },
  };
}
