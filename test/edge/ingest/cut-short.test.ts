// What the origin sends and does not finish, or sends again: nothing of it is kept, and nothing changes.

import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, assert, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseSecretKeys, signRequest } from "../../../registry/between/token.ts";
import { ingestPath } from "../../../registry/http/route.ts";
import type { ComposedImage } from "../../../registry/image/compose.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { pinOf } from "../../registry/fixture.ts";
import { NOW_MS } from "../controls.ts";
import { imageOf, lookupsBody, recordsBody, type Stock, stockOf, tagPins } from "../stock.ts";
import { errorOf, manifestPath, SECRET, startWorld, type World } from "../world.ts";
import { emptyStores, storesOf } from "./from-origin.ts";
import { objectsBody, patchesBody, rootBody, twoIndexes } from "./index-bodies.ts";

const PIN = pinOf("a".repeat(40));
const TOO_LARGE_BYTES = 16 * 1024 * 1024 + 1;

let world: World;
let stock: Stock;
let image: ComposedImage;
let indexBodies: readonly (readonly [what: string, path: string, bytes: Uint8Array])[];

beforeAll(async () => {
  world = await startWorld();
  stock = await stockOf(["git"]);
  image = await imageOf(stock, "git");
  const { first, second, patches } = await twoIndexes();
  indexBodies = [
    ["objects of an index", ingestPath.indexObjects, await objectsBody(first.objects)],
    ["patches of an index", ingestPath.indexPatches, await patchesBody(patches)],
    ["root of an index", ingestPath.index, await rootBody(second.root)],
  ];
  await world.origin.stop();
});
afterAll(() => world.close());
beforeEach(() => emptyStores(world));

interface Sent {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Blobs are bound by the digest in their path. */
  readonly isBound: boolean;
}

const json = (path: string, body: unknown): Sent => {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return { method: "POST", path, bytes, isBound: true };
};
/** In the order of the backfill: each is taken when those before it are there. */
const all = (): readonly (readonly [what: string, sent: Sent])[] => [
  ...[image.config, ...[...stock.blobs].map(([digest, bytes]) => ({ digest, bytes }))].map(
    ({ digest, bytes }): readonly [string, Sent] => [
      "blob",
      { method: "PUT", path: ingestPath.blob(digest), bytes, isBound: false },
    ],
  ),
  ["records", json(ingestPath.records, recordsBody(stock))],
  ["lookups", json(ingestPath.lookups, lookupsBody(stock, PIN))],
  [
    "manifest",
    {
      method: "PUT",
      path: ingestPath.manifest(image.manifest.digest),
      bytes: image.manifest.bytes,
      isBound: true,
    },
  ],
  ...indexBodies.map(([what, path, bytes]): readonly [string, Sent] => [
    what,
    { method: "POST", path, bytes, isBound: true },
  ]),
  [
    "pointers",
    json(ingestPath.pointers, {
      tag: { tag: "latest", pins: tagPins(stock, PIN, NOW_MS) },
      image: null,
    }),
  ],
];

function sentOf(what: string): Sent {
  const found = all().find(([each]) => each === what);
  assert(found);
  return found[1];
}

async function tokenOf({ method, path, bytes, isBound }: Sent): Promise<string> {
  const keys = parseSecretKeys(SECRET);
  assert(typeof keys !== "string");
  const bodyDigest = isBound ? await digestOf(bytes) : undefined;
  return await signRequest(keys, "origin", { method, path, bodyDigest }, NOW_MS);
}

/** Says how much will come, sends some of it, and is gone; gives the status, if it was told one. */
async function sendSome(sent: Sent, saidBytes: number, some: Uint8Array): Promise<string> {
  const { hostname, port, host } = new URL(world.edge.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  const lines = [
    `${sent.method} ${sent.path} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Bearer ${await tokenOf(sent)}`,
    `Content-Length: ${saidBytes}`,
  ];
  let told = "";
  socket.setEncoding("utf8").on("data", (text) => {
    told += text;
  });
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.write(some);
  socket.end();
  await once(socket, "close");
  return told.split(" ")[1] ?? "";
}

async function sendWhole(sent: Sent, token?: string): Promise<number> {
  const response = await fetch(world.edge.url + sent.path, {
    method: sent.method,
    headers: { Authorization: `Bearer ${token ?? (await tokenOf(sent))}` },
    body: Uint8Array.from(sent.bytes),
  });
  await response.body?.cancel();
  return response.status;
}

async function stored(): Promise<Readonly<Record<string, string>>> {
  const [kv, r2] = await storesOf(world);
  const values: Record<string, string> = {};
  for (const { name } of (await kv.list()).keys) values[`kv/${name}`] = `${await kv.get(name)}`;
  for (const { key, etag } of (await r2.list()).objects) values[`r2/${key}`] = etag;
  return values;
}

describe("a backfill of which each body breaks off once", () => {
  test("keeps nothing of what broke off, and all of what came whole", async () => {
    for (const [what, sent] of all()) {
      const before = await stored();
      await sendSome(sent, sent.bytes.length, sent.bytes.subarray(0, sent.bytes.length / 2));
      expect(await stored(), what).toStrictEqual(before);
      expect(await sendWhole(sent), what).toBeOneOf([200, 201]);
    }
    const response = await world.pull(manifestPath("git", "latest"));
    expect(await digestOf(await response.bytes())).toBe(image.manifest.digest);
  });
});

describe("a backfill that somebody has recorded", () => {
  test("changes nothing when it is sent again", async () => {
    const tokens: string[] = [];
    for (const [, sent] of all()) {
      const token = await tokenOf(sent);
      tokens.push(token);
      expect(await sendWhole(sent, token)).toBeOneOf([200, 201]);
    }
    const before = await stored();
    for (const [place, [what, sent]] of all().entries()) {
      expect(await sendWhole(sent, tokens[place]), what).toBeOneOf([200, 201]);
    }
    expect(await stored()).toStrictEqual(before);
  });

  test("is refused at another place, and with another body", async () => {
    const [records, lookups] = [sentOf("records"), sentOf("lookups")];
    const token = await tokenOf(records);
    expect(await sendWhole(lookups, token)).toBe(401);
    expect(await sendWhole({ ...records, bytes: lookups.bytes }, token)).toBe(401);
    expect(await stored()).toStrictEqual({});
  });
});

describe("a backfill in another order", () => {
  test("is refused at each step whose own comes later, and keeps nothing of it", async () => {
    for (const what of [
      ...["records", "lookups", "manifest"],
      ...["patches of an index", "root of an index"],
    ]) {
      const sent = sentOf(what);
      const response = await world.push(
        sent.method,
        sent.path,
        sent.method === "PUT" || what.endsWith("index")
          ? sent.bytes
          : JSON.parse(new TextDecoder().decode(sent.bytes)),
      );
      expect(response.status, what).toBeOneOf([400, 404]);
      expect((await errorOf(response)).detail, what).not.toStrictEqual([]);
    }
    expect(await stored()).toStrictEqual({});
  });
});

test.for([
  ...["records", "lookups", "manifest", "pointers"],
  ...["objects of an index", "patches of an index", "root of an index"],
])("%s of more than any backfill are refused before they have come", async (what) => {
  expect(await sendSome(sentOf(what), TOO_LARGE_BYTES, new Uint8Array())).toBe("400");
  expect(await stored()).toStrictEqual({});
});
