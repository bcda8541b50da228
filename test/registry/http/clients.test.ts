// The table of clients: which row a User-Agent leads to, and that the rows make sense together.

import { describe, expect, test } from "vitest";
import { CLIENTS, type Client, clientOf } from "../../../registry/http/clients.ts";

const clientNamed = (agent: string | null) =>
  clientOf(new Headers(agent === null ? {} : { "User-Agent": agent }));

/** Once after 503, and so often after 408 and 429. */
const askedAgain = ({ asksAgain }: Client) =>
  Object.fromEntries(asksAgain.map(({ status, times }) => [status, times]));

describe("clientOf", () => {
  const CONTAINERD = { 408: 5, 429: 5 };
  const CONTAINERD_2_1 = { ...CONTAINERD, 503: 1 };
  const CONTAINERD_2_3 = { 408: 4, 429: 4, 503: 1 };
  test.each([
    ["docker/20.10.24+dfsg1 go/go1.19.8", "Docker engine", null, {}],
    ["docker/28.5.1 go/go1.24", "Docker engine", null, {}],
    ["docker/29.0.0 go/go1.25", "Docker engine", 30, CONTAINERD_2_1],
    ["Docker/30.1 go/go1.25", "Docker engine", 30, CONTAINERD_2_1],
    ["docker/dev go/go1.25", "Docker engine", null, {}],
    ["containerd/1.6.20~ds1", "containerd", null, CONTAINERD],
    ["containerd/v1.6.38", "containerd", null, CONTAINERD],
    ["containerd/v1.7.0", "containerd", 60, CONTAINERD],
    ["containerd/v2.0.5", "containerd", 60, CONTAINERD],
    ["containerd/2.1.9", "containerd", 60, CONTAINERD_2_1],
    ["containerd/v2.3.0", "containerd", 30, CONTAINERD_2_3],
    ["containerd/v2.3.0-rc.1", "containerd", 30, CONTAINERD_2_3],
    ["containerd/v2.10.0", "containerd", 30, CONTAINERD_2_3],
    ["containerd/v3", "containerd", 30, CONTAINERD_2_3],
    ["containerd/1.6.20+unknown", "containerd before 1.7 in another program", null, CONTAINERD],
    ["containerd/1.7.0+unknown", "containerd", 60, CONTAINERD],
    ["containerd/2.1.9+unknown", "containerd", 60, CONTAINERD_2_1],
    ["containerd/2.3.4+unknown", "containerd", 30, CONTAINERD_2_3],
    ["buildkit/v0.26", "BuildKit", null, CONTAINERD],
    ["containers/5.23.1 (github.com/containers/image)", "Podman", null, {}],
    ["skopeo/1.9.3", "skopeo", null, {}],
    ["Buildah/1.28.2", "Buildah", null, {}],
    ["curl/7.88.1", "anything else", null, {}],
    ["not containerd/2.3.0", "anything else", null, {}],
    ["containerd", "anything else", null, {}],
    ["", "anything else", null, {}],
    [null, "anything else", null, {}],
  ])("takes %s for %s, which waits %s s and asks again as %o", (agent, client, waits, again) => {
    const row = clientNamed(agent);
    expect([row.client, row.headersWaitSeconds, askedAgain(row)]).toStrictEqual([
      client,
      waits,
      again,
    ]);
  });

  test("reads a version of any length", () => {
    const digits = "9".repeat(100_000);
    expect(clientNamed(`containerd/${digits}.${digits}`).client).toBe("containerd");
  });
});

describe("CLIENTS", () => {
  test("has rows of later versions before those of earlier ones, which have none to begin with", () => {
    const byAgent = Map.groupBy(CLIENTS, ({ userAgent }) => userAgent.source);
    for (const rows of byAgent.values()) {
      const first = rows.map(({ from }) => Number(from ?? 0));
      expect(first).toStrictEqual(first.toSorted((a, b) => b - a));
      expect(first.at(-1)).toBe(0);
      expect(new Set(rows.map(({ client }) => client)).size).toBe(1);
      expect(new Set(rows.map(({ zstdFrom }) => zstdFrom)).size).toBe(1);
    }
  });
});
