// Large blobs in parts: assembled aside, verified by R2 itself, never visible before.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ingestPath } from "../../../registry/http/route.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { blobPath, errorOf, startWorld, type World } from "../world.ts";

const PART_BYTES = 5 * 1024 * 1024;
const BYTES = Uint8Array.from({ length: 2 * PART_BYTES + 1000 }, (_, index) => (index * 31) % 255);

interface Upload {
  readonly uploadId: string;
  readonly partSizeBytes: number;
}

interface Part {
  readonly partNumber: number;
  readonly etag: string;
}

describe("an upload in parts", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
    await world.origin.stop();
  });
  afterAll(() => world.close());

  async function start(digest: Digest): Promise<Upload> {
    const response = await world.push("POST", ingestPath.uploads(digest), {});
    expect(response.status).toBe(201);
    return (await response.json()) as Upload;
  }

  async function putParts(digest: Digest, uploadId: string): Promise<readonly Part[]> {
    const parts: Part[] = [];
    for (let offset = 0; offset < BYTES.length; offset += PART_BYTES) {
      const partNumber = parts.length + 1;
      const path = ingestPath.part(digest, uploadId, partNumber);
      const response = await world.push("PUT", path, BYTES.slice(offset, offset + PART_BYTES));
      expect(response.status).toBe(201);
      const { etag } = (await response.json()) as { etag: string };
      parts.push({ partNumber, etag });
    }
    return parts;
  }

  async function staged(): Promise<number> {
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    return (await bucket.list({ prefix: "staging/" })).objects.length;
  }

  test("becomes the blob when it is complete and right, and leaves nothing behind", async () => {
    const digest = await digestOf(BYTES);
    const { uploadId, partSizeBytes } = await start(digest);
    expect(partSizeBytes).toBeGreaterThanOrEqual(PART_BYTES);
    expect(partSizeBytes).toBeLessThanOrEqual(95_000_000);
    const parts = await putParts(digest, uploadId);
    expect((await world.pull(blobPath(digest))).status).toBe(503);
    const path = ingestPath.complete(digest, uploadId);
    expect((await world.push("POST", path, { parts })).status).toBe(201);
    const response = await world.pull(blobPath(digest));
    expect(await digestOf(await response.bytes())).toBe(digest);
    expect(await staged()).toBe(0);

    const again = await start(digest);
    const completed = await world.push("POST", ingestPath.complete(digest, again.uploadId), {
      parts: await putParts(digest, again.uploadId),
    });
    expect(completed.status).toBe(200);
    expect(await staged()).toBe(0);
  });

  test("shows nothing of other bytes than the digest's", async () => {
    const digest = digestOfText("not these");
    const { uploadId } = await start(digest);
    const parts = await putParts(digest, uploadId);
    const path = ingestPath.complete(digest, uploadId);
    const response = await world.push("POST", path, { parts });
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("DIGEST_INVALID");
    expect((await world.pull(blobPath(digest))).status).toBe(503);
    expect(await staged()).toBe(0);
  });

  test("is refused with parts that were not uploaded, and can be started again", async () => {
    const digest = digestOfText("restarted");
    const { uploadId } = await start(digest);
    const path = ingestPath.complete(digest, uploadId);
    const parts = [{ partNumber: 1, etag: "nothing" }];
    const response = await world.push("POST", path, { parts });
    expect((await errorOf(response)).code).toBe("BLOB_UPLOAD_INVALID");
    expect((await start(digest)).uploadId).not.toBe(uploadId);
  });

  test.for([
    ["nobody's", "nothing"],
    ["a lost one", `00000000-0000-0000-0000-000000000000.${btoa("lost").replaceAll("=", "")}`],
  ] as const)("of %s is unknown", async ([, uploadId]) => {
    const digest = digestOfText("lost");
    const path = ingestPath.part(digest, uploadId, 1);
    const part = await world.push("PUT", path, new TextEncoder().encode("part"));
    expect((await errorOf(part)).code).toBe("BLOB_UPLOAD_UNKNOWN");
    const complete = await world.push("POST", ingestPath.complete(digest, uploadId), {
      parts: [{ partNumber: 1, etag: "x" }],
    });
    // The emulated R2 has no error of its own for this: it fails, and the origin starts again.
    expect(complete.status).toBeOneOf([404, 503]);
    await complete.body?.cancel();
  });
});
