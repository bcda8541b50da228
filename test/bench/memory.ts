// How much memory packing a large file takes: that of a whole process which does nothing else.

import { join } from "node:path";
import { packInChild } from "./pack.ts";
import { bar, type Row, type Section } from "./report.ts";
import { buildHugeFile, listFiles } from "./trees.ts";
import type { Workbench } from "./workbench.ts";

const HUGE_FILE_SIZE_BYTES = 2 ** 30;
const LIMIT_MIB = 250;

export async function measureMemory(bench: Workbench): Promise<Section> {
  const store = join(bench.scratch, "huge");
  const tree = await buildHugeFile(store, await listFiles(bench.storePaths), HUGE_FILE_SIZE_BYTES);
  const destination = join(bench.scratch, "packed");
  const rows: Row[] = [];
  for (const form of ["zstd", "gzip"] as const) {
    const { report, sample } = await packInChild({
      ...{ form, workers: null, storeDirectory: store },
      layers: [{ storePaths: [tree.storePath], destination, sizeBytes: tree.sizeBytes }],
    });
    rows.push({
      form,
      "peak RSS MiB": report.peakRssBytes / 2 ** 20,
      "wall s": sample.wallSeconds,
      "cpu s": sample.cpuSeconds,
      MB: (report.layers[0]?.sizeBytes ?? Number.NaN) / 1e6,
    });
  }
  return {
    name: "memory",
    title: "peak memory while packing one file of 1 GiB, as many workers as cores",
    tables: [rows],
    bars: rows.map((row) => {
      const peak = row["peak RSS MiB"];
      const value = typeof peak === "number" ? peak : null;
      return bar(`peak RSS packing 1 GiB, ${row.form}`, value, "at most", LIMIT_MIB, " MiB");
    }),
    notes: [
      "the file is made of the programs and libraries of the package set; none of it is sparse",
    ],
  };
}
