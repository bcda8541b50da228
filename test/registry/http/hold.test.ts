// How long requests are held, and what they are told then.

import { describe, expect, test } from "vitest";
import { CLIENTS, clientOf } from "../../../registry/http/clients.ts";
import { type Hold, holdOf } from "../../../registry/http/hold.ts";

const ROWS: readonly (readonly [agent: string, hold: Hold])[] = [
  ["containerd/v2.3.1", { seconds: 27, status: 429 }],
  ["docker/29.0.1 go/go1.25", { seconds: 27, status: 429 }],
  ["containerd/1.7.24", { seconds: 54, status: 429 }],
  ["containerd/1.6.20~ds1", { seconds: null, status: 429 }],
  ["docker/20.10.24+dfsg1 go/go1.19.8", { seconds: null, status: 503 }],
  ["skopeo/1.9.3", { seconds: null, status: 503 }],
  ["containers/5.23.1 (github.com/containers/image)", { seconds: null, status: 503 }],
  ["", { seconds: null, status: 503 }],
];

describe("holdOf", () => {
  test.each(ROWS)("of %j", (agent, hold) => {
    expect(holdOf(clientOf(new Headers({ "User-Agent": agent })))).toStrictEqual(hold);
  });

  test.each(CLIENTS.filter(({ headersWaitSeconds }) => headersWaitSeconds !== null))(
    "answers $client from $from on before it gives up, with what it asks again after",
    (client) => {
      const { seconds, status } = holdOf(client);
      expect(seconds).toBeLessThan(client.headersWaitSeconds ?? 0);
      expect(client.asksAgain.map(({ status }) => status)).toContain(status);
    },
  );
});
