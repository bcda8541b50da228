// Two hundred clients at once, through the edge and at the origin itself: of what is known, of
// combinations that are new, of new packages and of what there is not. Longer, and with how long a pull
// takes meanwhile: npm run bench -- --only load.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../bench/random.ts";
import { type LoadResult, runLoad } from "../load/clients.ts";
import { createDeck, type Deck, KINDS, manifestPath } from "../load/deck.ts";
import { peakMib, runtimeOf } from "../load/processes.ts";
import { descendantsOf, untilEnded } from "../origin/nix/fixture.ts";
import { get, missingBlobs, type PulledManifest, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const SEED = 13;
const CLIENTS = 200;
const FOR_MS = 30_000;
/** What two shared cores can do: more would only wait in line. */
const REST_MS = 1500;
const KNOWN = [
  ...["git", "htop", "jq", "curl", "shell/wget", "gnused", "gawk"],
  ...["less", "tree", "sqlite", "gnugrep", "findutils", "gzip", "xz"],
];
const COLD = ["hello", "file", "rsync", "procps"];
/** Beyond what either took in any run, by half. */
const MAX_ORIGIN_MIB = 640;
const MAX_RUNTIME_MIB = 960;

let deployment: Deployment;
let origin: Part;
let edge: Part;
let deck: Deck;
let result: LoadResult;
let before: ReadonlySet<number>;

beforeAll(async () => {
  deployment = await deploy({ env: { NIXPORT_LOG_LEVEL: "debug" } });
  [origin, edge] = await Promise.all([deployment.startOrigin(), deployment.startEdge()]);
  const known: PulledManifest[] = [];
  for (const name of KNOWN) known.push(await pullManifest(deployment.edgeUrl, name));
  await origin.waitFor(() => count("backfilled") >= KNOWN.length);
  before = new Set(await descendantsOf(origin.pid));
  const random = createRandom(SEED);
  deck = createDeck(random, known);
  const { edgeUrl, originUrl } = deployment;
  result = await runLoad({
    ...{ deck, random, clients: CLIENTS, restMs: REST_MS, forMs: FOR_MS },
    // Most clients are an edge's.
    urls: [edgeUrl, edgeUrl, originUrl],
    cold: COLD.map((name) => ({
      ...{ kind: "cold", method: "GET", path: manifestPath(name, "latest") },
    })),
  });
});

afterAll(() => deployment?.close());

const count = (msg: string) => origin.log.filter((line) => line.msg === msg).length;

describe("two hundred clients at once", () => {
  test("get what they asked for, byte by byte, or are told that there is none", async ({
    annotate,
  }) => {
    const counts = Object.fromEntries(result.answered);
    await annotate(`${JSON.stringify(counts)} in ${result.seconds.toFixed(0)} s`);
    expect([...result.faults], `seed ${SEED}`).toStrictEqual([]);
    for (const kind of KINDS) expect(counts[kind] ?? 0, kind).toBeGreaterThan(COLD.length);
  });

  test("have no more memory taken than a bound, and the event loop's lag told", async ({
    annotate,
  }) => {
    const [originMib, runtimeMib] = [
      await peakMib(origin.pid),
      await peakMib(await runtimeOf(edge.pid)),
    ];
    const lags = origin.log.filter(({ msg }) => msg?.startsWith("the event loop"));
    expect(lags.length).toBeGreaterThanOrEqual(FOR_MS / 10_000 - 1);
    const of = (field: string) => Math.max(...lags.map((line) => Number(line[field])));
    await annotate(
      `origin ${originMib} MiB, edge ${runtimeMib} MiB, event loop late by ${of("p99Ms")} ms (p99), ${of("maxMs")} ms at most`,
    );
    expect(originMib).toBeLessThan(MAX_ORIGIN_MIB);
    expect(runtimeMib).toBeLessThan(MAX_RUNTIME_MIB);
  });

  test("leave no request, process, root or half-written file behind", async () => {
    await origin.waitFor(() => count("asked") === count("answered"));
    for (const pid of await descendantsOf(origin.pid)) if (!before.has(pid)) await untilEnded(pid);
    expect(await readdir(join(deployment.statePath, "gcroots"))).toStrictEqual([]);
    const staging = join(deployment.statePath, "origin/staging");
    const left = await readdir(staging, { recursive: true, withFileTypes: true });
    // By its lock others know that the origin lives.
    const files = left.filter((entry) => entry.isFile() && entry.name !== "lock");
    expect(files).toStrictEqual([]);
  });

  test("leave an edge that has all of what was new, and waits for nobody else's answer", async () => {
    for (const name of COLD) {
      const manifest = await pullManifest(deployment.edgeUrl, name);
      expect(await missingBlobs(deployment.edgeUrl, manifest)).toStrictEqual([]);
      for (const { digest } of manifest.layers) {
        const response = await get(deployment.edgeUrl, `/v2/${name}/blobs/${digest}`);
        await response.arrayBuffer();
        expect(response.headers.get("Cache-Status")).not.toMatch(/collapsed/);
      }
    }
  });

  test("were composed the same by the edge and by the origin", async () => {
    const some = [...deck.combinations].slice(0, 20);
    expect(some).toHaveLength(20);
    for (const name of some) {
      const [there, here] = [
        await pullManifest(deployment.edgeUrl, name),
        await pullManifest(deployment.originUrl, name),
      ];
      expect(there.digest).toBe(here.digest);
    }
  });
});
