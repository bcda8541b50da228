// The first pull of an image, ever: store paths realised, storage empty, a fresh origin. Against it
// the Go rival, which packs the same store paths, cut into the same bundles, one after another.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { storePathBase } from "../../registry/naming/store-path.ts";
import { compare, interleave, type Measure, median, type Sample } from "./measure.ts";
import { pullManifest, type RunningOrigin, startOrigin } from "./origins.ts";
import { packWithBaseline } from "./pack.ts";
import { bar, type Row, type Section } from "./report.ts";
import { LARGE_IMAGE, readRecords, type Workbench } from "./workbench.ts";

const IMAGES = [
  { name: "curl/jq", image: "curl/jq" },
  { name: "shell", image: "shell" },
  { name: "git/htop", image: "git/htop" },
  { name: "15 packages", image: LARGE_IMAGE },
];
const JUDGED = "git/htop";
const LIMIT = 0.15;
const STORE = "/nix/store";

interface ColdPull extends Sample {
  readonly layers: number;
  readonly sizeBytes: number;
  readonly peakRssBytes: number;
}

type Groups = readonly (readonly string[])[];

export async function measureCold(bench: Workbench): Promise<Section> {
  const { baseline } = bench;
  const rows: Row[] = [];
  for (const { name, image } of IMAGES) {
    const groups = await bundlesOf(bench, image);
    const cases: (readonly ["nixport" | "go", Measure<ColdPull>])[] = [
      ["nixport", () => withOrigin(bench, (origin) => pullCold(origin, image))],
    ];
    if (baseline !== null) cases.push(["go", () => packGroups(bench, baseline, groups)]);
    const samples = await interleave(cases, bench.rounds);
    rows.push(describe(name, samples.get("nixport") ?? [], samples.get("go") ?? []));
  }
  const judged = rows.find((row) => row.image === JUDGED)?.["x Go wall"];
  const measured = typeof judged === "number" ? judged : null;
  return {
    name: "cold",
    title: "first pull of an image, zstd, paths realised, storage empty",
    tables: [rows],
    bars: [bar(`cold ${JUDGED}, wall over Go's`, measured, "at most", LIMIT, "x")],
    notes: [
      "nixport: from the request to the manifest at a freshly started origin, Nix included",
      "go: the same store paths in the same bundles, packed serially, without Nix and views",
      ...(baseline === null ? ["the Go baseline did not run: there is no go"] : []),
    ],
  };
}

async function withOrigin<Result>(
  { env, scratch }: Workbench,
  use: (origin: RunningOrigin) => Promise<Result>,
): Promise<Result> {
  const statePath = join(scratch, "cold");
  const origin = await startOrigin(env, statePath);
  try {
    return await use(origin);
  } finally {
    await origin.stop();
    await rm(statePath, { recursive: true, force: true });
  }
}

async function pullCold(origin: RunningOrigin, image: string): Promise<ColdPull> {
  const before = await origin.usedCpuSeconds();
  const { seconds, manifest } = await pullManifest(origin.url, image, "oci-zstd");
  return {
    wallSeconds: seconds,
    cpuSeconds: (await origin.usedCpuSeconds()) - before,
    layers: manifest.layers.length,
    sizeBytes: manifest.layers.reduce((sum, { size }) => sum + size, 0),
    peakRssBytes: await origin.peakRssBytes(),
  };
}

/** The store objects of the image's bundles, by the layers of its manifest. */
function bundlesOf(bench: Workbench, image: string): Promise<Groups> {
  return withOrigin(bench, async ({ url, storagePath }) => {
    const { manifest } = await pullManifest(url, image, "oci-zstd");
    const wanted = new Set(manifest.layers.map(({ digest }) => digest));
    const records = await readRecords(storagePath);
    const groups = new Map(
      records.flatMap(({ bundles }) =>
        bundles
          .filter(({ digest, storePaths }) => wanted.has(digest) && storePaths.length > 0)
          .map(({ digest, storePaths }) => [digest, storePaths.map(storePathBase)]),
      ),
    );
    return [...groups.values()];
  });
}

async function packGroups(
  { scratch }: Workbench,
  program: string,
  groups: Groups,
): Promise<ColdPull> {
  const destination = join(scratch, "cold-go");
  await mkdir(destination, { recursive: true });
  const { sample, layers } = await packWithBaseline(program, STORE, destination, groups);
  await rm(destination, { recursive: true });
  return {
    ...sample,
    layers: layers.length,
    sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    peakRssBytes: Number.NaN,
  };
}

function describe(image: string, ours: readonly ColdPull[], go: readonly ColdPull[]): Row {
  const wall = (samples: readonly ColdPull[]) => samples.map((each) => each.wallSeconds);
  const cpu = (samples: readonly ColdPull[]) => samples.map((each) => each.cpuSeconds);
  const isCompared = go.length > 0;
  const ratio = compare(wall(ours), wall(go));
  return {
    image,
    layers: ours[0]?.layers ?? null,
    "wall s": median(wall(ours)),
    "Go wall s": isCompared ? median(wall(go)) : null,
    "x Go wall": isCompared ? ratio.ratio : null,
    range: isCompared ? ratio.range : "-",
    "cpu s": median(cpu(ours)),
    "Go cpu s": isCompared ? median(cpu(go)) : null,
    "x Go cpu": isCompared ? compare(cpu(ours), cpu(go)).ratio : null,
    MB: (ours[0]?.sizeBytes ?? Number.NaN) / 1e6,
    "Go MB": isCompared ? (go[0]?.sizeBytes ?? Number.NaN) / 1e6 : null,
    "origin RSS MiB": median(ours.map((each) => each.peakRssBytes)) / 2 ** 20,
  };
}
