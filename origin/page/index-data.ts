// The package index for pages, out of the origin's storage: of the newest revisions that the default tag has led
// to, the first that there is an index of; and its objects as they are stored. Nothing is asked of the source.

import { jsonResponse } from "../../registry/http/answer.ts";
import { indexObjectResponse } from "../../registry/http/index-object.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { systemOf } from "../../registry/naming/recipe.ts";
import { LATEST } from "../../registry/naming/reference.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import { summariesJson } from "../../registry/package-index/summary.ts";
import { lookUpRoot } from "../package-index/stored-root.ts";
import type { Pins } from "../sources/pins.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { storageKey } from "../storage/keys.ts";

export interface ServingIndex {
  readonly pins: Pick<Pins, "known" | "moves">;
  readonly store: Pick<BlobStore, "lookup">;
  /** Which a name without one means. */
  readonly platforms: Platforms;
}

/** With each move of the tag there is none for a while. */
const MAX_PINS = 3;

export async function serveIndex(
  { pins, store, platforms }: ServingIndex,
  request: Request,
): Promise<Response> {
  const [known, moves] = await Promise.all([pins.known(LATEST), pins.moves(LATEST)]);
  const current = known?.kind === "pinned" ? [known.pin] : [];
  const candidates = [...new Set([...current, ...moves.map(({ pin }) => pin)])].slice(0, MAX_PINS);
  const roots: IndexRoot[] = [];
  for (const architecture of platforms) {
    for (const pin of candidates) {
      const stored = await lookUpRoot(store, pin, systemOf(architecture));
      if (stored === undefined) continue;
      roots.push(stored.root);
      break;
    }
  }
  return jsonResponse(summariesJson(roots), request.method);
}

export async function serveIndexObject(
  { store }: ServingIndex,
  request: Request,
  digest: Digest,
): Promise<Response> {
  const packed = await store.lookup(storageKey.indexObject(digest));
  return indexObjectResponse(request, digest, packed === undefined ? null : new Uint8Array(packed));
}
