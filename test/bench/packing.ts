// Packing one tree in one thread: our packer, the Go rival, what a shell would do, and the limit.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { storePathBase } from "../../registry/naming/store-path.ts";
import { compare, interleave, type Measure, median, type Sample, timeShell } from "./measure.ts";
import { packInChild, packWithBaseline } from "./pack.ts";
import type { PackingJob } from "./packing-child.ts";
import { type Bar, bar, type Row, type Section } from "./report.ts";
import { buildEmptyTree, buildLargeTree, buildSmallTree, listFiles, type Tree } from "./trees.ts";
import type { Workbench } from "./workbench.ts";

type Case = "nixport zstd" | "nixport gzip" | "go gzip 6" | "tar|gzip -6" | "tar|zstd -3" | "hash";

interface Packed extends Sample {
  readonly sizeBytes: number;
}

const START_ROUNDS = 3;

export async function measurePacking(bench: Workbench): Promise<Section> {
  const store = join(bench.scratch, "trees");
  const files = await listFiles(bench.storePaths);
  const nothing = await buildEmptyTree(store);
  const trees = [
    { title: "small files", tree: await buildSmallTree(store, files) },
    { title: "large files", tree: await buildLargeTree(store, files) },
  ];
  const starts = await interleave(casesOf(bench, store, nothing), START_ROUNDS);
  const start = (name: Case) => median((starts.get(name) ?? []).map((each) => each.cpuSeconds));

  const bars: Bar[] = [];
  const tables: Row[][] = [];
  const notes = [
    "wall and cpu s are those of whole processes; start s is the same with an empty tree, and is taken off before comparing, of every rival alike; with start: compared without taking it off",
  ];
  for (const { title, tree } of trees) {
    const samples = await interleave(casesOf(bench, store, tree), bench.rounds);
    const of = (name: Case) => samples.get(name) ?? [];
    const tarBytes = of("hash")[0]?.sizeBytes ?? Number.NaN;
    const go = of("go gzip 6");
    const rows = [...samples].map(([name, packed]) => describe(name, packed, go, tarBytes, start));
    tables.push(rows.map((row) => ({ tree: title, ...row })));
    bars.push(...barsOf(title, rows));
    const tarSize = `${Math.round(tarBytes / 1e6)} MB of tar`;
    notes.push(`${title}: ${tree.files} files, ${tarSize}, of the package set's own files`);
  }
  if (bench.baseline === null) notes.push("the Go baseline did not run: there is no go");
  return { name: "packing", title: "CPU for packing, one worker", tables, bars, notes };
}

function describe(
  name: Case,
  packed: readonly Packed[],
  go: readonly Packed[],
  tarBytes: number,
  start: (name: Case) => number,
): Row {
  const whole = (samples: readonly Packed[]) => samples.map((each) => each.cpuSeconds);
  const net = (samples: readonly Packed[], of: Case) =>
    whole(samples).map((seconds) => seconds - start(of));
  const sizeBytes = packed[0]?.sizeBytes ?? Number.NaN;
  const goSizeBytes = go[0]?.sizeBytes;
  const isCompared = go.length > 0;
  const compared = compare(net(go, "go gzip 6"), net(packed, name));
  return {
    case: name,
    "wall s": median(packed.map((each) => each.wallSeconds)),
    "cpu s": median(whole(packed)),
    "start s": start(name),
    "MB/s per core": tarBytes / 1e6 / median(net(packed, name)),
    "x Go cpu": isCompared ? compared.ratio : null,
    range: isCompared ? compared.range : "-",
    "with start": isCompared ? compare(whole(go), whole(packed)).ratio : null,
    MB: name === "hash" ? null : sizeBytes / 1e6,
    "x Go size": name === "hash" || !goSizeBytes ? null : sizeBytes / goSizeBytes,
  };
}

function barsOf(title: string, rows: readonly Row[]): readonly Bar[] {
  const value = (name: Case, column: string) => {
    const cell = rows.find((row) => row.case === name)?.[column];
    return typeof cell === "number" ? cell : null;
  };
  const forms = [
    ["zstd", 5, 0.97],
    ["gzip", 2.5, 1.13],
  ] as const;
  return forms.flatMap(([form, cpuLimit, sizeLimit]) => {
    const name = `nixport ${form}` as const;
    const figure = `packing ${title}, ${form}`;
    return [
      bar(`${figure}: Go's cpu over ours`, value(name, "x Go cpu"), "at least", cpuLimit, "x"),
      bar(`${figure}: bytes over Go's`, value(name, "x Go size"), "at most", sizeLimit, "x"),
    ];
  });
}

function casesOf(
  bench: Workbench,
  store: string,
  { storePath, sizeBytes: treeBytes }: Tree,
): readonly (readonly [Case, Measure<Packed>])[] {
  const { baseline, scratch } = bench;
  const base = storePathBase(storePath);
  const out = join(scratch, "packed");
  const ours = (form: PackingJob["form"]) => async () => {
    const layers = [{ storePaths: [storePath], destination: out, sizeBytes: treeBytes }];
    const { sample, report } = await packInChild({
      ...{ form, workers: 1, storeDirectory: store, layers },
    });
    return { ...sample, sizeBytes: report.layers[0]?.sizeBytes ?? Number.NaN };
  };
  const go = async () => {
    const { sample, layers } = await packWithBaseline(baseline ?? "", store, scratch, [[base]]);
    return { ...sample, sizeBytes: layers[0]?.sizeBytes ?? Number.NaN };
  };
  const shell = (compressor: string) => async () => {
    const { sample } = await timeShell(`tar -C '${store}' -c '${base}' | ${compressor} > '${out}'`);
    return { ...sample, sizeBytes: (await stat(out)).size };
  };
  return [
    ["nixport zstd", ours("zstd")],
    ["nixport gzip", ours("gzip")],
    ...(baseline === null ? [] : [["go gzip 6", go] as const]),
    ["tar|gzip -6", shell("gzip -6")],
    ["tar|zstd -3", shell("zstd -3 -q")],
    ["hash", ours("hash")],
  ];
}
