// Whose pull it is: the edge tells the origin so that nobody else can say it, and of the edge's own
// requests nothing.

import { afterAll, assert, beforeAll, beforeEach, expect, test } from "vitest";
import { CLIENT_HEADER, parseSecretKeys, verifyRequest } from "../../../registry/between/token.ts";
import { digestOfText, pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { stockOf } from "../stock.ts";
import { blobPath, manifestPath, PIN_FRESH_MS, SECRET, startWorld, type World } from "../world.ts";

const FROM = { "CF-Connecting-IP": "2001:db8:1:2:3:4:5:6", [CLIENT_HEADER]: "192.0.2.1" };
let world: World;

beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());
beforeEach(() => {
  world.origin.asked.length = 0;
});

async function isSigned(client: string | undefined): Promise<boolean> {
  const [asked] = world.origin.asked;
  const keys = parseSecretKeys(SECRET);
  assert(asked && typeof keys !== "string");
  const { method, path, headers } = asked;
  const signed = { method, path, client };
  return verifyRequest(keys, "edge", signed, headers.authorization ?? null, NOW_MS);
}

test.each([manifestPath("git", "latest"), blobPath(digestOfText("absent"))])(
  "a request for %s is told to be of its client's network, under the edge's signature",
  async (path) => {
    await (await world.pull(path, { headers: FROM })).body?.cancel();
    expect(world.origin.asked[0]?.headers["nixport-client"]).toBe("2001:db8:1:2");
    expect(await isSigned("2001:db8:1:2")).toBe(true);
    expect(await isSigned("192.0.2.1")).toBe(false);
  },
);

test("a refresh behind an answer is the edge's own", async () => {
  const pin = pinOf("a".repeat(40));
  await world.backfill(await stockOf(["git"]), { tag: "moving", pin, repositories: ["git"] });
  const controls = { nowMs: NOW_MS + PIN_FRESH_MS };
  await (await world.pull(manifestPath("git", "moving"), { headers: FROM, controls })).bytes();
  expect(world.origin.asked[0]?.method).toBe("HEAD");
  expect(world.origin.asked[0]?.headers["nixport-client"]).toBeUndefined();
});
