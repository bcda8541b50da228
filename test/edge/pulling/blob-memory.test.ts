// A layer streamed to many at once, while it is put into the location's cache and out of it: neither keeps
// any of it in memory.

import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { memoryWhile } from "../runtime-memory.ts";
import { blobPath, startWorld, type World } from "../world.ts";

const SIZE_BYTES = 40 * 1024 * 1024;
const CLIENTS = 8;
/** Less than one of these answers, and a tenth of what the clients get together. */
const MAX_GROWTH_BYTES = 32 * 1024 * 1024;

describe("a layer of 40 MiB streamed to 8 clients", { timeout: 120_000 }, () => {
  let world: World;
  let digest: Digest;
  beforeAll(async () => {
    world = await startWorld();
    const bytes = new Uint8Array(SIZE_BYTES);
    digest = await digestOf(bytes);
    expect((await world.push("PUT", ingestPath.blob(digest), bytes)).status).toBe(201);
  });
  afterAll(() => world.close());

  test.for(["while it is put into the location's cache", "out of the location's cache"])(
    "takes little memory %s",
    async () => {
      const pulls = () =>
        Promise.all(Array.from({ length: CLIENTS }, () => pulledBytes(world, digest)));
      const { beforeBytes, peakBytes } = await memoryWhile(async () => {
        const lengths = await pulls();
        expect(new Set(lengths)).toStrictEqual(new Set([SIZE_BYTES]));
      });
      expect(peakBytes - beforeBytes).toBeLessThan(MAX_GROWTH_BYTES);
    },
  );
});

/** As many as came, of which none is kept. */
function pulledBytes({ edge }: World, digest: Digest): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const controls = { "Test-Controls": JSON.stringify({ unsettled: true }) };
  const onAnswer = (response: IncomingMessage) => {
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.on("end", () => resolve(bytes));
    response.on("error", reject);
  };
  get(edge.url + blobPath(digest), { headers: controls }, onAnswer).on("error", reject);
  return promise;
}
