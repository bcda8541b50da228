// Which images are kept: those that another pull has asked for before, and those that an operator lists.
// Of all others lookups and records are enough, of which they can be composed again.

import { type Seen, seenBefore } from "../../registry/between/keeping.ts";
import type { ComposedImage } from "../../registry/image/compose.ts";
import type { Log } from "../log/log.ts";
import { type RecentValues, recentValues } from "../memory/recent-values.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

export interface KeptImages {
  /** One more request for it was answered: whether it is to be kept from now on. */
  isWanted(what: string): boolean;
  /** Whether it is stored now: a disk that takes nothing keeps no image from being answered. */
  keep(image: Composition): Promise<boolean>;
}

/** The manifest of one image or the index of several. */
export interface Composition {
  readonly images: readonly ComposedImage[];
  readonly manifest: ComposedImage["manifest"] | ComposedIndexBytes;
}

type ComposedIndexBytes = Pick<ComposedImage["manifest"], "bytes" | "digest">;

export interface KeptImagesOptions {
  readonly store: Pick<BlobStore, "create">;
  /** By an operator, whether it is asked for again or not. */
  readonly isListed?: (what: string) => boolean;
  readonly now: () => number;
  readonly log: Pick<Log, "warn">;
}

/** Beyond it the one asked for longest ago is kept a pull later. */
const MAX_SEEN = 50_000;

export function createKeptImages(options: KeptImagesOptions): KeptImages {
  const { store, isListed = () => false, now, log } = options;
  const firstMs: RecentValues<number> = recentValues(MAX_SEEN);

  function seen(what: string): Seen {
    const before = seenBefore(firstMs.lookup(what), now());
    if (before === "never") firstMs.store(what, now());
    return before;
  }

  return {
    isWanted: (what) => seen(what) === "by another" || isListed(what),
    /**
     * Configs, manifests, then the index: what is stored names nothing that is not. Each by itself: an
     * operator may have cleared the blobs and left the manifests.
     */
    async keep({ images, manifest }) {
      try {
        for (const image of images) {
          await store.create(storageKey.layer(image.config.digest), image.config.bytes);
          await store.create(storageKey.manifest(image.manifest.digest), image.manifest.bytes);
        }
        await store.create(storageKey.manifest(manifest.digest), manifest.bytes);
        return true;
      } catch (error) {
        log.warn({ err: error, digest: manifest.digest }, "an image is not on disk");
        return false;
      }
    },
  };
}
