// Manifests this isolate served lately, by digest: plain bytes, bounded in all, never stale. The
// least recently used make room. An isolate has 128 MB for all its concurrent requests.

import type { Digest } from "../../registry/naming/digest.ts";
import type { Manifest } from "./manifest.ts";

export interface ManifestMemory {
  lookup(digest: Digest): Manifest | undefined;
  store(manifest: Manifest): void;
}

const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
const MAX_MANIFEST_BYTES = 256 * 1024;

export function createManifestMemory(maxTotalBytes = MAX_TOTAL_BYTES): ManifestMemory {
  // A Map keeps the order of insertion, so re-inserting on use makes its first key the oldest.
  const manifests = new Map<Digest, Manifest>();
  let totalBytes = 0;

  function remove(manifest: Manifest): void {
    if (manifests.delete(manifest.digest)) totalBytes -= manifest.bytes.length;
  }

  return {
    lookup(digest) {
      const manifest = manifests.get(digest);
      if (manifest === undefined) return undefined;
      manifests.delete(digest);
      manifests.set(digest, manifest);
      return manifest;
    },
    store(manifest) {
      if (manifest.bytes.length > MAX_MANIFEST_BYTES) return;
      remove(manifest);
      manifests.set(manifest.digest, manifest);
      totalBytes += manifest.bytes.length;
      for (const oldest of manifests.values()) {
        if (totalBytes <= maxTotalBytes) break;
        remove(oldest);
      }
    },
  };
}
