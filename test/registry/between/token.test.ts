// The tokens between edge and origin: what is accepted is one request, once signed, for a minute.

import { SignJWT, UnsecuredJWT } from "jose";
import { assert, describe, expect, test } from "vitest";
import {
  parseSecretKeys,
  type SecretKey,
  type SignedRequest,
  signRequest,
  verifyRequest,
} from "../../../registry/between/token.ts";
import { digestOfText } from "../fixture.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const REQUEST: SignedRequest = { method: "PUT", path: "/ingest/blobs/x", bodyDigest: undefined };
const WITH_BODY: SignedRequest = { ...REQUEST, bodyDigest: digestOfText("body") };

const key = (id: string, text: string): SecretKey => ({
  id,
  bytes: new TextEncoder().encode(text),
});
const FIRST = key("1", "the first secret of them");
const SECOND = key("2", "the second secret of them");

async function authorization(keys: readonly SecretKey[], request = REQUEST, nowMs = NOW_MS) {
  return `Bearer ${await signRequest(keys, "origin", request, nowMs)}`;
}

async function verify(header: string | null, request = REQUEST, nowMs = NOW_MS, keys = [FIRST]) {
  return verifyRequest(keys, "origin", request, header, nowMs);
}

/** A token as an attacker or a broken program would make it. */
async function forged(
  claims: Readonly<Record<string, unknown>>,
  { kid = "1", alg = "HS256", secret = FIRST.bytes } = {},
): Promise<string> {
  const seconds = NOW_MS / 1000;
  const token = new SignJWT({
    ...{ iss: "origin", iat: seconds, exp: seconds + 60 },
    ...{ method: REQUEST.method, path: REQUEST.path },
    ...claims,
  });
  return `Bearer ${await token.setProtectedHeader({ alg, kid }).sign(secret)}`;
}

describe("verifyRequest", () => {
  test("accepts what signRequest signed, with a body and without one", async () => {
    expect(await verify(await authorization([FIRST]))).toBe(true);
    expect(await verify(await authorization([FIRST], WITH_BODY), WITH_BODY)).toBe(true);
    const withClient = { ...REQUEST, client: "2001:db8:1:2" };
    expect(await verify(await authorization([FIRST], withClient), withClient)).toBe(true);
    expect(await verify(await forged({}))).toBe(true);
  });

  const others: readonly [what: string, signed: SignedRequest, sent: SignedRequest][] = [
    ["another method", REQUEST, { ...REQUEST, method: "POST" }],
    ["another path", REQUEST, { ...REQUEST, path: "/ingest/blobs/y" }],
    ["a longer path", REQUEST, { ...REQUEST, path: `${REQUEST.path}/uploads` }],
    ["another body", WITH_BODY, { ...WITH_BODY, bodyDigest: digestOfText("other") }],
    ["a body where none was signed", REQUEST, WITH_BODY],
    ["no body where one was signed", WITH_BODY, REQUEST],
    ["another client", { ...REQUEST, client: "192.0.2.7" }, { ...REQUEST, client: "192.0.2.8" }],
    ["a client where none was signed", REQUEST, { ...REQUEST, client: "192.0.2.7" }],
    ["no client where one was signed", { ...REQUEST, client: "192.0.2.7" }, REQUEST],
  ];
  test.for(others)("refuses %s", async ([, signed, sent]) => {
    expect(await verify(await authorization([FIRST], signed), sent)).toBe(false);
  });

  test("refuses a token of the other party", async () => {
    const header = await authorization([FIRST]);
    expect(await verifyRequest([FIRST], "edge", REQUEST, header, NOW_MS)).toBe(false);
  });

  const ages: readonly [ageMs: number, isAccepted: boolean][] = [
    [0, true],
    [MINUTE_MS, true],
    [2 * MINUTE_MS - 1000, true],
    [2 * MINUTE_MS + 1000, false],
    [24 * 60 * MINUTE_MS, false],
    [-MINUTE_MS + 1000, true],
    [-MINUTE_MS - 1000, false],
    [-24 * 60 * MINUTE_MS, false],
  ];
  for (const [ageMs, isAccepted] of ages) {
    const when = ageMs < 0 ? `dated ${-ageMs} ms ahead` : `${ageMs} ms old`;
    test(`${isAccepted ? "accepts" : "refuses"} a token ${when}`, async () => {
      const header = await authorization([FIRST], REQUEST, NOW_MS - ageMs);
      expect(await verify(header)).toBe(isAccepted);
    });
  }

  const seconds = NOW_MS / 1000;
  const forgeries: readonly [what: string, make: () => Promise<string> | string][] = [
    ["an unknown key id", () => forged({}, { kid: "3" })],
    ["another secret under a known id", () => forged({}, { secret: SECOND.bytes })],
    [
      "a key of zeros under an unknown id",
      () => forged({}, { kid: "x", secret: new Uint8Array(32) }),
    ],
    ["a key of zeros under a known id", () => forged({}, { secret: new Uint8Array(32) })],
    ["HS512", () => forged({}, { alg: "HS512", secret: new Uint8Array(64).fill(1) })],
    ["no date of issue", () => forged({ iat: undefined })],
    ["no end", () => forged({ exp: undefined })],
    ["a life of years", () => forged({ iat: seconds - 1e6, exp: seconds + 1e8 })],
    ["a beginning to come", () => forged({ nbf: seconds + 3600 })],
    ["no method", () => forged({ method: undefined })],
    ["a list of paths", () => forged({ path: [REQUEST.path] })],
    ["no issuer", () => forged({ iss: undefined })],
    [
      "no signature",
      () => {
        const claims = { iss: "origin", iat: seconds, exp: seconds + 60, ...REQUEST };
        return `Bearer ${new UnsecuredJWT(claims).encode()}`;
      },
    ],
  ];
  test.for(forgeries)("refuses a token with %s", async ([, make]) => {
    expect(await verify(await make())).toBe(false);
  });

  test("refuses what is no token, and throws at nothing", async () => {
    const token = await signRequest([FIRST], "origin", REQUEST, NOW_MS);
    const [head = "", claims = "", signature = ""] = token.split(".");
    const headers = [
      ...[null, "", "Bearer", "Bearer ", "Bearer a.b.c", `Basic ${token}`, token],
      ...[
        `bearer ${token} `,
        `Bearer ${token} x`,
        `Bearer  ${token}`,
        `Bearer ${"x".repeat(5000)}`,
      ],
      ...[
        `Bearer ${head}.${claims}.`,
        `Bearer ${head}.${claims}`,
        `Bearer .${claims}.${signature}`,
      ],
      `Bearer ${head}.${claims}.${signature.split("").reverse().join("")}`,
    ];
    for (const header of headers) expect(await verify(header), String(header)).toBe(false);
  });

  test("refuses everything without a key", async () => {
    expect(await verify(await authorization([FIRST]), REQUEST, NOW_MS, [])).toBe(false);
  });

  test("accepts both keys while they are rotated, and the old one no longer", async () => {
    const [old, fresh] = [await authorization([FIRST]), await authorization([SECOND, FIRST])];
    for (const [keys, isOld, isFresh] of [
      [[FIRST], true, false],
      [[FIRST, SECOND], true, true],
      [[SECOND, FIRST], true, true],
      [[SECOND], false, true],
    ] as const) {
      expect(await verify(old, REQUEST, NOW_MS, [...keys])).toBe(isOld);
      expect(await verify(fresh, REQUEST, NOW_MS, [...keys])).toBe(isFresh);
    }
  });
});

test("signRequest needs a key", async () => {
  await expect(signRequest([], "edge", REQUEST, NOW_MS)).rejects.toThrow(/no key/);
});

describe("parseSecretKeys", () => {
  const sixteen = "0123456789abcdef";
  const rows: readonly [text: string, keys: readonly [id: string, secret: string][] | RegExp][] = [
    [sixteen, [["1", sixteen]]],
    [` ${sixteen} `, [["1", sixteen]]],
    [`a:${sixteen}`, [["a", sixteen]]],
    [
      `a:${sixteen},b:${sixteen}x`,
      [
        ["a", sixteen],
        ["b", `${sixteen}x`],
      ],
    ],
    [
      `a:${sixteen}, b:${sixteen}`,
      [
        ["a", sixteen],
        ["b", sixteen],
      ],
    ],
    [`a:b:${sixteen}`, [["a", `b:${sixteen}`]]],
    ["", /16 bytes/],
    ["short", /16 bytes/],
    [`a:${sixteen.slice(1)}`, /16 bytes/],
    [`${sixteen},`, /16 bytes/],
    [`${sixteen},${sixteen}x`, /two ids/],
    [`a:${sixteen},a:${sixteen}x`, /two ids/],
    [`a:${sixteen},b:${sixteen},c:${sixteen}`, /at most 2/],
  ];
  test.for(rows)("reads %j as %s", ([text, keys]) => {
    const parsed = parseSecretKeys(text);
    if (keys instanceof RegExp) {
      assert(typeof parsed === "string");
      expect(parsed).toMatch(keys);
    } else {
      expect(parsed).toStrictEqual(keys.map(([id, secret]) => key(id, secret)));
    }
  });

  test("counts bytes, not characters", () => {
    expect(typeof parseSecretKeys("ü".repeat(8))).toBe("object");
  });
});
