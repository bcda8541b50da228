// Combinations nobody has pulled, of packages somebody has: what they cost the origin, and how much
// more than the distinct store paths it keeps after them.

import { join } from "node:path";
import type { Digest } from "../../registry/naming/digest.ts";
import { median } from "./measure.ts";
import { pullManifest, type RunningOrigin, startOrigin, storedLayers } from "./origins.ts";
import { packInChild } from "./pack.ts";
import { createRandom, shuffle } from "./random.ts";
import { bar, type Section } from "./report.ts";
import { readRecords, SINGLE_PACKAGES, storePathsOf, type Workbench } from "./workbench.ts";

const SEED = 42;
const COMBINATIONS = 30;
const LARGEST = 5;
const SMALLEST = 2;

interface Pulls {
  readonly seconds: readonly number[];
  readonly layers: readonly number[];
  readonly configs: ReadonlySet<Digest>;
}

export async function measureCombinations(bench: Workbench): Promise<Section> {
  const origin = await startOrigin(bench.env, join(bench.scratch, "combinations"));
  try {
    return await measure(bench, origin);
  } finally {
    await origin.stop();
  }
}

async function measure(bench: Workbench, origin: RunningOrigin): Promise<Section> {
  const singles = await pullAll(origin, SINGLE_PACKAGES);
  const before = await storedLayers(origin.storagePath, singles.configs);
  const combined = await pullAll(origin, combinations());
  const configs = new Set([...singles.configs, ...combined.configs]);
  const after = await storedLayers(origin.storagePath, configs);

  const storePaths = storePathsOf(await readRecords(origin.storagePath));
  const alone = await packInChild({
    ...{ form: "zstd", workers: null, storeDirectory: "/nix/store" },
    layers: storePaths.map((storePath) => ({
      storePaths: [storePath],
      destination: join(bench.scratch, "packed"),
      // One after another, and no more than bytes are wanted of it.
      sizeBytes: 0,
    })),
  });
  const distinctBytes = sum(alone.report.layers.map(({ sizeBytes }) => sizeBytes));
  const storedBytes = sum([...after.values()]);
  const addedBytes = sum([...after].map(([name, size]) => (before.has(name) ? 0 : size)));
  const milliseconds = combined.seconds.map((seconds) => seconds * 1000);
  const medianMs = median(milliseconds);
  const mostLayers = Math.max(...combined.layers);
  const rows = [
    { figure: "time to manifest, median", value: medianMs, unit: "ms" },
    { figure: "time to manifest, longest", value: Math.max(...milliseconds), unit: "ms" },
    { figure: "bytes packed or stored again", value: addedBytes, unit: "B" },
    { figure: "distinct store paths", value: storePaths.length, unit: "" },
    { figure: "bytes stored", value: storedBytes / 1e6, unit: "MB" },
    { figure: "bytes of the distinct paths", value: distinctBytes / 1e6, unit: "MB" },
    { figure: "stored over distinct", value: storedBytes / distinctBytes, unit: "" },
    { figure: "layers of an image, median", value: median(combined.layers), unit: "" },
    { figure: "layers of an image, most", value: mostLayers, unit: "" },
    { figure: "layers of a single package, median", value: median(singles.layers), unit: "" },
  ];
  return {
    name: "combinations",
    title: `${COMBINATIONS} combinations of ${SMALLEST}-${LARGEST} of ${SINGLE_PACKAGES.length} packages, each package pulled before, zstd`,
    tables: [rows],
    bars: [
      bar("combinations: bytes packed or stored again", addedBytes, "at most", 0, " B"),
      bar("combinations: stored over distinct", storedBytes / distinctBytes, "at most", 1.05),
      bar("combinations: median time to manifest", medianMs, "at most", 10, " ms"),
      bar("combinations: layers, median", median(combined.layers), "at most", 30),
      bar("combinations: layers, most", mostLayers, "at most", 100),
    ],
    notes: ["configs and manifests are left out of all bytes; views and the ground are in"],
  };
}

async function pullAll({ url }: RunningOrigin, images: readonly string[]): Promise<Pulls> {
  const seconds: number[] = [];
  const layers: number[] = [];
  const configs = new Set<Digest>();
  for (const image of images) {
    const pulled = await pullManifest(url, image, "oci-zstd");
    seconds.push(pulled.seconds);
    layers.push(pulled.manifest.layers.length);
    configs.add(pulled.manifest.config.digest);
  }
  return { seconds, layers, configs };
}

/** The same in every run; no two alike. */
function combinations(): readonly string[] {
  const random = createRandom(SEED);
  const chosen = new Set<string>();
  while (chosen.size < COMBINATIONS) {
    const size = SMALLEST + random.below(LARGEST - SMALLEST + 1);
    chosen.add(shuffle(random, SINGLE_PACKAGES).slice(0, size).sort().join("/"));
  }
  return [...chosen];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
