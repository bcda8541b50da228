// Who may push: whoever signs this very request, and nobody else is listened to.

import { request } from "node:http";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { parseSecretKeys, signRequest } from "../../../registry/between/token.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { errorOf, type Push, SECRET, startWorld, type World } from "../world.ts";

const BYTES = new TextEncoder().encode("a blob");

describe("ingest", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world.close());

  async function keptBlobs(): Promise<readonly string[]> {
    const bucket = await world.edge.miniflare.getR2Bucket("R2");
    return (await bucket.list({ prefix: "blobs/" })).objects.map(({ key }) => key);
  }

  const refused: readonly (readonly [title: string, push: Push])[] = [
    ["no token", { headers: { Authorization: "" } }],
    ["another secret", { secret: "another secret than ours" }],
    ["a token of yesterday", { controls: { nowMs: NOW_MS + 86_400_000 } }],
    ["a token of tomorrow", { controls: { nowMs: NOW_MS - 86_400_000 } }],
  ];
  test.for(refused)("answers 401 to a blob with %s, and keeps nothing", async ([, push]) => {
    const response = await world.push("PUT", ingestPath.blob(await digestOf(BYTES)), BYTES, push);
    expect(response.status).toBe(401);
    expect((await errorOf(response)).code).toBe("UNAUTHORIZED");
    expect(await keptBlobs()).toStrictEqual([]);
  });

  test.for([
    ingestPath.records,
    ingestPath.lookups,
    ingestPath.pointers,
    ingestPath.values,
    ingestPath.removals,
    ingestPath.index,
    ingestPath.indexObjects,
    ingestPath.indexPatches,
  ])("answers 401 to %s with a token for another body", async (path) => {
    const signedDigest = await digestOf(new TextEncoder().encode("another"));
    const response = await world.push("POST", path, {}, { signedDigest });
    expect(response.status).toBe(401);
    await response.body?.cancel();
  });

  test("answers 401 to a blob with a token that is for a body", async () => {
    const path = ingestPath.blob(await digestOf(BYTES));
    const keys = parseSecretKeys(SECRET);
    assert(typeof keys !== "string");
    const signed = { method: "PUT", path, bodyDigest: digestOfText("another") };
    const token = await signRequest(keys, "origin", signed, NOW_MS);
    const headers = { Authorization: `Bearer ${token}` };
    const response = await world.push("PUT", path, BYTES, { headers });
    expect(response.status).toBe(401);
    await response.body?.cancel();
  });

  test("answers 401 to a token for another path", async () => {
    const [path, other] = ["a blob", "other"].map((text) => ingestPath.blob(digestOfText(text)));
    const keys = parseSecretKeys(SECRET);
    assert(typeof keys !== "string" && path !== undefined && other !== undefined);
    const token = await signRequest(keys, "origin", { method: "PUT", path }, NOW_MS);
    const headers = { Authorization: `Bearer ${token}` };
    for (const [to, status] of [
      [path, 201],
      [other, 401],
    ] as const) {
      const response = await world.push("PUT", to, BYTES, { headers });
      expect(response.status).toBe(status);
      await response.body?.cancel();
    }
  });

  test("refuses a blob that is too large for one request before reading it", async () => {
    const path = ingestPath.blob(digestOfText("huge"));
    const answer = await sendHeadersOnly(world, "PUT", path, 95_000_001);
    expect(answer).toStrictEqual({ status: 400, code: "SIZE_INVALID" });
  });

  test("reads no body of whoever has no token", async () => {
    for (const [method, path] of [
      ["POST", ingestPath.records],
      ["POST", ingestPath.index],
      ["POST", ingestPath.indexObjects],
      ["POST", ingestPath.indexPatches],
      ["PUT", ingestPath.manifest(digestOfText("nobody's"))],
      ["PUT", ingestPath.blob(digestOfText("nobody's"))],
    ] as const) {
      const answer = await sendHeadersOnly(world, method, path, 1_000_000, "a secret of nobody's");
      expect(answer).toStrictEqual({ status: 401, code: "UNAUTHORIZED" });
    }
  });

  test("refuses everything without a secret", async () => {
    const open = await startWorld({ secret: "" });
    try {
      const response = await open.push("PUT", ingestPath.blob(await digestOf(BYTES)), BYTES);
      expect(response.status).toBe(401);
      expect((await errorOf(response)).message).toMatch(/this edge has no secret/);
    } finally {
      await open.close();
    }
  });
});

/** A request whose body never comes: only what needs no body can answer it. */
async function sendHeadersOnly(
  world: World,
  method: string,
  path: string,
  sizeBytes: number,
  secret = SECRET,
) {
  const keys = parseSecretKeys(secret);
  assert(typeof keys !== "string");
  const { pathname } = new URL(path, world.edge.url);
  const token = await signRequest(keys, "origin", { method, path: pathname }, NOW_MS);
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; code: string }>();
  const sent = request(world.edge.url + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Length": sizeBytes },
  });
  sent.once("error", reject);
  sent.once("response", async (response) => {
    let text = "";
    for await (const chunk of response) text += chunk;
    const { errors } = JSON.parse(text) as { errors: { code: string }[] };
    resolve({ status: response.statusCode ?? 0, code: errors[0]?.code ?? "" });
    sent.destroy();
  });
  sent.setTimeout(10_000, () => sent.destroy(new Error("no answer without a body")));
  sent.flushHeaders();
  return promise;
}
