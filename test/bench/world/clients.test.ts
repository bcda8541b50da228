import { expect, test } from "vitest";
import { PULLING_CLIENTS, pullAs, type Server } from "./clients.ts";
import { createLine } from "./line.ts";
import { simulate } from "./simulation.ts";

const RTT_MS = 100;
const LAYERS = ["a", "b", "c", "d", "e", "f", "g"];
const MANIFEST = {
  config: { digest: "sha256:config", size: 1 },
  layers: LAYERS.map((name) => ({ digest: `sha256:${name}`, size: 1 })),
};

/** Answers at once, and notes when it was asked for what. */
function noting(elsewhere?: Server) {
  const asked: (readonly [atMs: number, what: string])[] = [];
  let now = () => 0;
  const server: Server = {
    rttMs: RTT_MS,
    async answer({ method, path }) {
      const what = path.split("/").at(-1) ?? "";
      asked.push([now(), `${method} ${what.replace("sha256:", "")}`]);
      const isBlob = path.includes("/blobs/");
      if (isBlob && elsewhere !== undefined) {
        return { tookMs: 0, body: new Uint8Array(), digest: undefined, elsewhere };
      }
      const text = path.includes("/manifests/") ? JSON.stringify(MANIFEST) : isBlob ? "1" : "";
      return { tookMs: 0, body: new TextEncoder().encode(text), digest: "sha256:manifest" };
    },
  };
  const pull = (name: string) =>
    simulate((world) => {
      now = world.now;
      const client = PULLING_CLIENTS.find((each) => each.name === name);
      if (client === undefined) throw new Error(`${name} is no client`);
      const line = createLine(Number.POSITIVE_INFINITY);
      return pullAs(client, world, { repository: "name", server, line });
    });
  return { asked, server, pull };
}

/** What was asked for together, in the order of time. */
function together(asked: readonly (readonly [number, string])[]): readonly string[] {
  const times = [...new Set(asked.map(([atMs]) => atMs))];
  return times.map((time) =>
    asked
      .filter(([atMs]) => atMs === time)
      .map(([, what]) => what)
      .join(", "),
  );
}

const rows: readonly (readonly [name: string, asked: readonly string[]])[] = [
  // The config has the connection that is there, and three layers have new ones.
  ["docker", ["GET ", "HEAD latest", "GET manifest", "GET config", ...threeByThree()]],
  ["containerd", ["HEAD latest", "GET manifest", "GET config", ...threeByThree()]],
  // The config is there before any layer; then one of six has the connection that is there.
  [
    "podman",
    ["GET ", "GET latest", "GET config", "GET a", "GET g", "GET b, GET c, GET d, GET e, GET f"],
  ],
];

function threeByThree(): readonly string[] {
  return ["GET a, GET b, GET c", "GET d, GET e, GET f", "GET g"];
}

test.for(rows)("%s asks in its order, so many layers at a time", async ([name, expected]) => {
  const { asked, pull } = noting();
  const { result } = await pull(name);
  expect(together(asked)).toStrictEqual(expected);
  const { requests, layers, bytes } = result;
  const blobs = LAYERS.length + 1;
  expect([requests, layers, bytes]).toStrictEqual([asked.length, LAYERS.length, blobs]);
});

test("whoever is sent elsewhere asks there, over connections of its own", async () => {
  const bucket = noting();
  const { asked, pull } = noting(bucket.server);
  const { tookMs, result } = await pull("containerd");
  expect(asked.map(([, what]) => what)).toContain("GET a");
  const blobs = ["GET config", ...LAYERS.map((name) => `GET ${name}`)];
  expect(bucket.asked.map(([, what]) => what).toSorted()).toStrictEqual(blobs.toSorted());
  expect(result.requests).toBe(asked.length + bucket.asked.length);
  expect(tookMs).toBeGreaterThan((await noting().pull("containerd")).tookMs);
});
