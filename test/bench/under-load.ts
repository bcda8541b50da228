// How long a pull of what is known takes while two hundred clients ask an edge and its origin for all sorts
// of things, against the same while nobody does; and what that takes of the machine.

import { setTimeout as pause } from "node:timers/promises";
import { startEdge } from "../../origin/command/workerd.ts";
import { pullManifest } from "../e2e/clients.ts";
import { freePort } from "../free-port.ts";
import { type LoadResult, runLoad } from "../load/clients.ts";
import { type Card, createDeck, type Kind, manifestPath } from "../load/deck.ts";
import { type Latencies, startProbe, type Target } from "../load/probe.ts";
import { peakMib, runtimeOf } from "../load/processes.ts";
import { drained } from "./drained.ts";
import { startOrigin } from "./origins.ts";
import { createRandom } from "./random.ts";
import { bar, type Row, type Section } from "./report.ts";
import type { LogLine } from "./stages.ts";
import { SINGLE_PACKAGES, type Workbench } from "./workbench.ts";

const SEED = 13;
const CLIENTS = 200;
const REST_MS = 1000;
const LOAD_MS = 120_000;
const IDLE_MS = 20_000;
/** Not so often that the probe is what is waited for. */
const PROBE_EVERY_MS = 200;
const PROBED = SINGLE_PACKAGES[0];
const KNOWN = SINGLE_PACKAGES.slice(0, 18);
const COLD = SINGLE_PACKAGES.slice(18);
/** After it, whoever asks again has an image kept (registry/between/keeping.ts). */
const KEPT_AFTER_MS = 61_000;
const SECRET = "a secret of the benchmark";
const MAX_ORIGIN_MIB = 640;
const MAX_RUNTIME_MIB = 960;

export async function measureUnderLoad(bench: Workbench): Promise<Section> {
  const edgePort = await freePort();
  const statePath = `${bench.scratch}/under-load`;
  const lags: LogLine[] = [];
  const origin = await startOrigin(
    {
      ...bench.env,
      NIXPORT_SECRET: SECRET,
      NIXPORT_EDGE_URL: `http://127.0.0.1:${edgePort}`,
      NIXPORT_LOG_LEVEL: "debug",
    },
    statePath,
    {
      onLogLine: (line) => {
        if (String(line.msg).startsWith("the event loop")) lags.push(line);
      },
    },
  );
  const edge = await startEdge({
    ...{ port: edgePort, statePath, originUrl: origin.url, secret: SECRET },
    pinFreshSeconds: 86_400,
    onLog: () => {},
  });
  try {
    for (const name of KNOWN) await pullManifest(edge.url, name);
    await pause(KEPT_AFTER_MS);
    const known = [];
    for (const name of KNOWN) known.push(await pullManifest(edge.url, name));
    await pullManifest(origin.url, PROBED);
    await drained(origin.storagePath);

    const [{ digest = "" } = {}] = known;
    const probe = { targets: targetsOf(edge.url, origin.url, digest), everyMs: PROBE_EVERY_MS };
    const idle = startProbe(probe);
    await pause(IDLE_MS);
    const before = await idle.stop();
    lags.length = 0;
    const random = createRandom(SEED);
    const loaded = startProbe(probe);
    const result = await runLoad({
      // Most clients are an edge's.
      urls: [edge.url, edge.url, origin.url],
      deck: createDeck(random, known),
      cold: COLD.map((name) => cardOf("cold", name, "latest")),
      ...{ random, clients: CLIENTS, restMs: REST_MS, forMs: LOAD_MS },
    });
    const during = await loaded.stop();
    const [originMib, runtimeMib] = [
      await peakMib(origin.pid),
      await peakMib(await runtimeOf(process.pid)),
    ];
    const faults = [...result.faults.values()].reduce((sum, count) => sum + count, 0);
    return {
      name: "load",
      title: `${CLIENTS} clients for ${LOAD_MS / 1000} s, ${REST_MS} ms of rest between two requests of each`,
      tables: [
        latencyRows(before, during),
        countRows(result),
        [takenRow(originMib, runtimeMib, lags)],
      ],
      bars: [
        bar("load: wrong answers", faults, "at most", 0),
        bar("load: memory of the origin", originMib, "at most", MAX_ORIGIN_MIB, " MiB"),
        bar("load: memory of the edge", runtimeMib, "at most", MAX_RUNTIME_MIB, " MiB"),
      ],
      notes: [
        "clients, KV and R2, which are emulated, take the same cores",
        ...[...result.faults].map(([what, count]) => `${count} times ${what}`),
      ],
    };
  } finally {
    await edge.close();
    await origin.stop();
  }
}

function cardOf(kind: Kind, name: string, reference: string): Card {
  return { kind, method: "GET", path: manifestPath(name, reference) };
}

function targetsOf(edgeUrl: string, originUrl: string, digest: string): readonly Target[] {
  const [byTag, byDigest] = [cardOf("tag", PROBED, "latest"), cardOf("digest", PROBED, digest)];
  return [
    { what: "edge, by tag", url: edgeUrl, card: byTag },
    { what: "edge, by digest", url: edgeUrl, card: byDigest },
    { what: "origin, by tag", url: originUrl, card: byTag },
    { what: "origin, by digest", url: originUrl, card: byDigest },
  ];
}

function latencyRows(idle: readonly Latencies[], loaded: readonly Latencies[]): readonly Row[] {
  return idle.map((before, place) => {
    const during = loaded[place];
    return {
      what: before.what,
      "idle p50 ms": before.p50Ms,
      "idle p99 ms": before.p99Ms,
      "loaded p50 ms": during?.p50Ms ?? null,
      "loaded p99 ms": during?.p99Ms ?? null,
      "longest ms": during?.maxMs ?? null,
      "p99 x idle": during === undefined ? null : during.p99Ms / before.p99Ms,
    };
  });
}

function countRows({ answered, askedAgain, seconds }: LoadResult): readonly Row[] {
  return [...answered].map(([kind, count]) => ({
    ...{ kind, answered: count, "a second": count / seconds },
    "asked again": askedAgain.get(kind) ?? 0,
  }));
}

function takenRow(originMib: number, runtimeMib: number, lags: readonly LogLine[]): Row {
  const most = (field: string) => Math.max(...lags.map((line) => Number(line[field])));
  return {
    "origin MiB": originMib,
    "edge MiB": runtimeMib,
    "event loop late p99 ms": most("p99Ms"),
    "at most ms": most("maxMs"),
  };
}
