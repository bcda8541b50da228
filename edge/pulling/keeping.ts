// What becomes of an image that was composed. Most are pulled once: what they are made of is here, so
// that nothing of them need be kept. What another pull asks for within a day is, within a limit for each
// client, so that from then on one read answers.

import { type Seen, seenBefore } from "../../registry/between/keeping.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import { digestHex } from "../../registry/naming/digest.ts";
import type { Edge } from "../request/edge.ts";
import { r2Key } from "../storage/keys.ts";
import { cacheComposed, firstSeenMs, markSeen } from "../storage/location-cache.ts";
import { storeManifest } from "../storage/manifests.ts";
import type { Composition, PlatformImage } from "./known-image.ts";

/** For the requests that follow: in this isolate at once, for others of the location behind the answer. */
export function rememberComposed(edge: Edge, { images, manifest }: Composition): void {
  for (const image of images) {
    edge.memory.store(image.manifest);
    edge.configs.store(image.config);
  }
  edge.memory.store(manifest);
}

/** Behind an answer. `what` is an image's name or its digest, whichever it was asked for by. */
export function noteAsked(
  edge: Edge,
  what: string,
  composition: () => Promise<Composition | undefined>,
  keep: (composition: Composition) => Promise<void>,
): void {
  edge.later("keep", async () => {
    const seen = await noteSeen(edge, what);
    if (seen === "by this pull") return;
    if (seen === "by another" && !(await edge.keeps.admits())) return;
    const composed = await composition();
    if (composed === undefined) return;
    if (seen === "by another") await keep(composed);
    else await cacheAll(edge, composed);
  });
}

/** Behind an answer: what is asked for by a digest that its tag no longer has was asked for before. */
export function keepNow(edge: Edge, keep: () => Promise<void>): void {
  edge.later("keep", async () => {
    if (await edge.keeps.admits()) await keep();
  });
}

async function noteSeen(edge: Edge, what: string): Promise<Seen> {
  const nowMs = edge.now();
  const firstMs = edge.seen.firstMs(what) ?? (await firstSeenMs(edge, what));
  const seen = seenBefore(firstMs, nowMs);
  if (seen !== "never" && firstMs !== undefined) edge.seen.note(what, firstMs);
  else {
    edge.seen.note(what, nowMs);
    await markSeen(edge, what, nowMs);
  }
  return seen;
}

function cacheAll(edge: Edge, { images, manifest }: Composition): Promise<void> {
  const manifests = new Map([...images.map((each) => each.manifest), manifest].map(byDigest));
  const configs = images.map(({ config }) => config);
  return cacheComposed(edge, [...manifests.values()], configs);
}

function byDigest<Document extends { readonly digest: string }>(document: Document) {
  return [document.digest, document] as const;
}

/** Configs, manifests, then the index: what is stored names nothing that is not. */
export async function keepComposed(edge: Edge, { images, manifest }: Composition): Promise<void> {
  await Promise.all(images.map((image) => keepImage(edge, image)));
  if (images.length > 1) await storeManifest(edge, manifest);
}

async function keepImage(edge: Edge, { config, manifest }: PlatformImage): Promise<void> {
  await edge.r2.put(r2Key.blob(config.digest), config.bytes, {
    sha256: digestHex(config.digest),
    httpMetadata: { contentType: OCTET_STREAM },
  });
  await storeManifest(edge, manifest);
}
