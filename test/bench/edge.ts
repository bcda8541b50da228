// What the edge answers in a second, against Workers that do nothing else and another registry; what an image
// takes that nobody has pulled, and what is written for it.

import { cp } from "node:fs/promises";
import { join } from "node:path";
import { type EdgeOptions, startEdge } from "../../origin/command/workerd.ts";
import { OCI_MANIFEST } from "../../registry/image/media-type.ts";
import { freePort } from "../free-port.ts";
import { drained } from "./drained.ts";
import { get, keepImage, SECRET } from "./edge/backfill.ts";
import { type Loaded, requestOver } from "./edge/requests.ts";
import { startBareBucket, startConstant, startRegistryWith } from "./edge/rivals.ts";
import { storedAtEdge } from "./kept.ts";
import { interleave, type Measure, median } from "./measure.ts";
import { startOrigin } from "./origins.ts";
import { createRandom, shuffle } from "./random.ts";
import { bar, type Row, type Section } from "./report.ts";
import { SINGLE_PACKAGES, type Workbench } from "./workbench.ts";

const SEED = 45;
const IMAGE = "curl/git/htop/jq/perl";
const USER_AGENT = "containerd/v2.1.0";
const HEADERS = { "User-Agent": USER_AGENT, Accept: `${OCI_MANIFEST}, */*` };
const CONNECTIONS = [1, 16] as const;
/** Short, and by turns: the load of the machine changes from one second to the next. */
const SECONDS = 0.3;
const TURNS = 4;
/** Of one turn; all of them are one client's, and each is pulled once. */
const COMBINATIONS = 50;
const IMAGE_PACKAGES = 5;
const MIB = 1024 * 1024;

export async function measureEdge(bench: Workbench): Promise<Section> {
  const stops: (() => Promise<unknown>)[] = [];
  const until = <Each extends { close(): Promise<unknown> }>(each: Each): Each => {
    stops.unshift(() => each.close());
    return each;
  };
  try {
    return await measure(bench, until);
  } finally {
    for (const stop of stops) await stop();
  }
}

type Until = <Each extends { close(): Promise<unknown> }>(each: Each) => Each;

async function measure(bench: Workbench, until: Until): Promise<Section> {
  const [edgePort, port] = [await freePort(), await freePort()];
  const statePath = join(bench.scratch, "edge");
  const edgeUrl = `http://127.0.0.1:${edgePort}`;
  const env = {
    ...bench.env,
    PORT: String(port),
    NIXPORT_SECRET: SECRET,
    NIXPORT_EDGE_URL: edgeUrl,
  };
  const origin = await startOrigin(env, statePath);
  until({ close: () => origin.stop() });
  const open = async (options: Partial<EdgeOptions>) =>
    until(
      await startEdge({
        ...{ port: edgePort, statePath, originUrl: origin.url, secret: SECRET },
        ...{ pinFreshSeconds: 86_400, onLog: () => {}, ...options },
      }),
    );
  const edge = await open({});
  for (const name of SINGLE_PACKAGES) await get(`${edge.url}/v2/${name}/manifests/latest`, HEADERS);
  await drained(origin.storagePath);
  const image = await keepImage(edge, IMAGE, HEADERS);
  const folder = join(bench.scratch, "forgetful");
  await cp(join(statePath, "edge"), join(folder, "edge"), { recursive: true });
  const forgetful = await open({ port: 0, statePath: folder, pointerMemorySeconds: 0 });

  const { headers, bytes, layer } = image;
  const sent = Object.fromEntries(
    [...headers].filter(([name]) => !/^(?:date|connection)$/.test(name)),
  );
  const constant = until(await startConstant(bytes, sent));
  const bare = until(await startConstant(bytes, {}));
  const bucket = until(await startBareBucket("layer", layer.bytes));
  const registry = await startRegistryWith(bench.scratch, {
    ...{ name: IMAGE, manifest: { mediaType: OCI_MANIFEST, bytes }, blobs: image.blobs },
  });
  if (registry !== null) until(registry);

  const manifest = (reference: string) => ({ paths: [`/v2/${IMAGE}/manifests/${reference}`] });
  const blob = { paths: [`/v2/${IMAGE}/blobs/${layer.digest}`] };
  const range = { headers: { ...HEADERS, Range: `bytes=0-${MIB - 1}` }, status: 206 };
  const cases: Readonly<
    Record<string, Omit<Parameters<typeof requestOver>[0], "connections" | "seconds">>
  > = {
    "constant Worker, same answer": { url: constant.url, paths: ["/"], headers: HEADERS },
    "constant Worker, no headers": { url: bare.url, paths: ["/"], headers: HEADERS },
    "edge, by digest": { url: edge.url, ...manifest(image.digest), headers: HEADERS },
    "edge, by tag": { url: edge.url, ...manifest("latest"), headers: HEADERS },
    "edge, HEAD by tag": { url: edge.url, ...manifest("latest"), headers: HEADERS, method: "HEAD" },
    "edge without memory, by tag": { url: forgetful.url, ...manifest("latest"), headers: HEADERS },
    "edge, 1 MiB of a layer": { url: edge.url, ...blob, ...range },
    "bare bucket, 1 MiB of a layer": { url: bucket.url, paths: ["/layer"], ...range },
    "edge, layer": { url: edge.url, ...blob, headers: HEADERS },
    "bare bucket, layer": { url: bucket.url, paths: ["/layer"], headers: HEADERS },
    ...(registry !== null && {
      "docker-registry, by digest": {
        url: registry.url,
        ...manifest(image.digest),
        headers: HEADERS,
      },
      "docker-registry, by tag": { url: registry.url, ...manifest("latest"), headers: HEADERS },
      "docker-registry, layer": { url: registry.url, ...blob, headers: HEADERS },
    }),
  };
  const combinations = combinationsOf(COMBINATIONS * TURNS * bench.rounds);
  const before = await storedAtEdge(edge);
  const measured = await interleave<string, Loaded>(
    [
      ...Object.entries(cases).flatMap(([name, asked]) =>
        CONNECTIONS.map((connections): readonly [string, Measure<Loaded>] => [
          `${name} ${connections}`,
          () => requestOver({ ...asked, connections, seconds: SECONDS }),
        ]),
      ),
      [
        "edge, combination nobody pulled 1",
        (turn: number) =>
          requestOver({
            ...{ url: edge.url, headers: HEADERS, connections: 1, seconds: 60 },
            ...{ requests: COMBINATIONS, paths: pathsOf(combinations, turn) },
          }),
      ],
    ],
    TURNS * bench.rounds,
  );
  const written = (await storedAtEdge(edge)).objects - before.objects;

  const rate = (name: string, connections: number) =>
    median((measured.get(`${name} ${connections}`) ?? []).map(({ perSecond }) => perSecond));
  const over = (name: string, rival: string, connections: number) =>
    rate(name, connections) / rate(rival, connections);
  const slowdown = over("edge without memory, by tag", "edge, combination nobody pulled", 1);
  const constantName = "constant Worker, same answer";
  return {
    name: "edge",
    title: `${IMAGE}, its manifest of ${bytes.length} B and a layer of ${(layer.bytes.length / 1e6).toFixed(1)} MB`,
    tables: [[...measured].map(([name, loads]) => rowOf(name, loads))],
    bars: [
      bar(
        "edge: by digest over a constant",
        over("edge, by digest", constantName, 16),
        "at least",
        0.9,
      ),
      bar("edge: by tag over a constant", over("edge, by tag", constantName, 16), "at least", 0.7),
      bar("edge: a new combination over a warm tag without memory, time", slowdown, "at most", 2.5),
      bar(
        "edge: by tag over docker-registry",
        registry && over("edge, by tag", "docker-registry, by tag", 16),
        "at least",
        2,
      ),
      bar(
        "edge: layer over the bare bucket",
        over("edge, layer", "bare bucket, layer", 16),
        "at least",
        0.9,
      ),
      bar(
        "edge: 1 MiB of a layer over the bare bucket",
        over("edge, 1 MiB of a layer", "bare bucket, 1 MiB of a layer", 16),
        "at least",
        0.9,
      ),
      bar(
        `edge: objects written for ${TURNS * COMBINATIONS} combinations`,
        written / bench.rounds,
        "at most",
        20,
      ),
    ],
    notes: [
      "the last number of a case is that of its connections; operations of the storage for each pull are told by `cost`, and asserted by test/edge/pulling/budget.test.ts",
      ...(registry === null ? ["docker-registry is not installed: no comparison with it"] : []),
    ],
  };
}

function rowOf(what: string, loads: readonly Loaded[]): Row {
  const of = (figure: keyof Loaded) => median(loads.map((each) => each[figure]));
  return {
    what,
    "requests/s": of("perSecond"),
    "MB/s": of("bytesPerSecond") / 1e6,
    "median ms": of("medianMs"),
    "p99 ms": of("p99Ms"),
  };
}

/** The same in every run; no two alike, and none the image. */
function combinationsOf(count: number): readonly string[] {
  const random = createRandom(SEED);
  const chosen = new Set<string>();
  while (chosen.size < count) {
    const name = shuffle(random, SINGLE_PACKAGES).slice(0, IMAGE_PACKAGES).sort().join("/");
    if (name !== IMAGE) chosen.add(name);
  }
  return [...chosen];
}

function pathsOf(names: readonly string[], turn: number): readonly string[] {
  return names
    .slice(turn * COMBINATIONS, (turn + 1) * COMBINATIONS)
    .map((name) => `/v2/${name}/manifests/latest`);
}
