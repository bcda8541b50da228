// Who asks, and for how long such a request is held.

import { describe, expect, test } from "vitest";
import { askerOf, type HoldLimits, holdFor } from "../../../origin/pulling/asker.ts";
import { CLIENT_HEADER, signRequest } from "../../../registry/between/token.ts";
import { VARIANT_HEADER } from "../../../registry/http/negotiation.ts";

const PATH = "/v2/git/manifests/latest";
const secretKeys = [{ id: "1", bytes: new TextEncoder().encode("the secret of the tests") }];
const asking = { secretKeys, now: () => 0 };

function request(headers: Readonly<Record<string, string>>): Request {
  return new Request(`http://origin${PATH}`, { headers });
}

async function signed(client?: string): Promise<string> {
  return `Bearer ${await signRequest(secretKeys, "edge", { method: "GET", path: PATH, client }, 0)}`;
}

describe("askerOf", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2::5", "2001:db8:1:2"],
    [undefined, "unknown"],
  ])("counts a client at %s as %s", async (address, client) => {
    expect(await askerOf(asking, request({}), PATH, address)).toStrictEqual({
      ...{ isKnown: false, client },
    });
  });

  test.each([
    ["192.0.2.7", "192.0.2.7"],
    [undefined, "the edge"],
  ])("counts what the edge has signed for %s as %s", async (told, client) => {
    const headers = {
      Authorization: await signed(told),
      ...(told !== undefined && { [CLIENT_HEADER]: told }),
    };
    expect(await askerOf(asking, request(headers), PATH, "127.0.0.1")).toStrictEqual({
      ...{ isKnown: true, client },
    });
  });

  test.each([
    ["nothing", undefined],
    ["nonsense", "Bearer x"],
    ["a password", "Basic eDp5"],
  ])("believes nobody who has signed with %s", async (_, authorization) => {
    const headers = {
      [CLIENT_HEADER]: "192.0.2.7",
      ...(authorization !== undefined && { Authorization: authorization }),
    };
    expect(await askerOf(asking, request(headers), PATH, "127.0.0.1")).toStrictEqual({
      ...{ isKnown: false, client: "127.0.0.1" },
    });
  });
});

describe("holdFor", () => {
  const unset: HoldLimits = { holdMs: null, buildDeadlineMs: 600_000 };
  const edge = { [VARIANT_HEADER]: "oci-gzip" };
  const agent = (text: string) => ({ "User-Agent": text });
  const rows: readonly [
    who: string,
    limits: HoldLimits,
    headers: Readonly<Record<string, string>>,
    isKnown: boolean,
    ms: number,
    status: number,
  ][] = [
    ["who waits long", unset, agent("skopeo/1.9.3"), false, 660_000, 503],
    ["who says nothing", unset, {}, false, 660_000, 503],
    ["who gives up", unset, agent("containerd/v2.3.1"), false, 27_000, 429],
    [
      "Kubernetes",
      { holdMs: 70_000, buildDeadlineMs: 1 },
      agent("containerd/1.7.24"),
      false,
      54_000,
      429,
    ],
    ["the edge", unset, {}, true, 50_000, 503],
    ["an edge without a secret", unset, edge, false, 50_000, 503],
    ["who says for how long", unset, { Prefer: "wait=5" }, false, 5_000, 503],
    ["the edge that says so", unset, { ...edge, Prefer: "wait=24" }, true, 24_000, 503],
    ...[
      { holdMs: 20_000, buildDeadlineMs: 1 },
      { holdMs: 900_000, buildDeadlineMs: 1 },
    ].flatMap((limits): typeof rows => [
      ["who waits long", limits, {}, false, limits.holdMs, 503],
      [
        "who gives up",
        limits,
        agent("containerd/v2.3.1"),
        false,
        Math.min(limits.holdMs, 27_000),
        429,
      ],
      ["the edge", limits, edge, true, Math.min(limits.holdMs, 50_000), 503],
    ]),
  ];
  test.each(rows)("holds %s, with %j and %j", (_, limits, headers, isKnown, ms, status) => {
    const hold = holdFor(limits, request(headers), { isKnown, client: "x" });
    expect([hold.ms, hold.status, hold.client, hold.isAsynchronous]).toStrictEqual([
      ...[ms, status, "x", false],
    ]);
  });

  test("holds the edge for a blob no longer than it waits for headers", () => {
    const hold = holdFor(unset, request({}), { isKnown: true, client: "x" }, "blob");
    expect(hold.ms).toBe(25_000);
  });

  test("waits for nobody who says so", () => {
    const headers = { Prefer: "respond-async" };
    const hold = holdFor(unset, request(headers), { isKnown: true, client: "x" });
    expect(hold.isAsynchronous).toBe(true);
  });
});
