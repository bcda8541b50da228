// What becomes of an image that was composed. Most are pulled once: what they are made of is here, so
// that nothing of them need be kept. What another pull asks for within a day is, within a limit for each
// client, so that from then on one read answers.

import { type Seen, seenBefore } from "../../registry/between/keeping.ts";
import { OCTET_STREAM } from "../../registry/image/media-type.ts";
import { digestHex } from "../../registry/naming/digest.ts";
import type { Mark } from "../isolate/seen-once.ts";
import type { Edge } from "../request/edge.ts";
import { markOf, r2Key } from "../storage/keys.ts";
import { storeManifest } from "../storage/manifests.ts";
import { readMarks, writeMarks } from "../storage/seen-marks.ts";
import type { Composition, PlatformImage } from "./known-image.ts";

/** For the requests that follow, in this isolate; any other composes it again. */
export function rememberComposed(edge: Edge, { images, manifest }: Composition): void {
  for (const image of images) {
    edge.memory.store(image.manifest);
    edge.configs.store(image.config);
  }
  edge.memory.store(manifest);
}

/** Behind an answer. `what` is an image's name or its digest, whichever it was asked for by. */
export function noteAsked(edge: Edge, what: string, keep: () => Promise<void>): void {
  edge.later("keep", async () => {
    if ((await noteSeen(edge, await markOf(what))) !== "by another") return;
    if (await edge.keeps.admits()) await keep();
  });
}

/** Behind an answer: what is asked for by a digest that its tag no longer has was asked for before. */
export function keepNow(edge: Edge, keep: () => Promise<void>): void {
  edge.later("keep", async () => {
    if (await edge.keeps.admits()) await keep();
  });
}

/** Of many that are seen for the first time one looks into the cache, and writes for all before it. */
async function noteSeen(edge: Edge, mark: Mark): Promise<Seen> {
  const nowMs = edge.now();
  const seen = () => seenBefore(edge.seen.firstMs(mark), nowMs);
  const exchanges = seen() === "never" && edge.seen.claimExchange(nowMs);
  if (exchanges) await readMarks(edge);
  const before = seen();
  if (before === "never") {
    edge.seen.note(mark, nowMs);
    if (exchanges) await writeMarks(edge);
  }
  return before;
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
