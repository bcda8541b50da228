// How fast everything that is stored is read and compared with its digest: `nixport fsck`, against sha256sum
// of the same files.

import { createCipheriv, hash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compare, interleave, median, timeProgram, timeShell } from "./measure.ts";
import { bar, type Row, type Section } from "./report.ts";
import type { Bench } from "./workbench.ts";

const COMMAND = fileURLToPath(new URL("../../origin/command/nixport.ts", import.meta.url));
/** As of some hundred images: most layers are of some kilobytes, most bytes in large ones. */
const LAYERS: readonly (readonly [count: number, sizeBytes: number])[] = [
  [5000, 3000],
  [150, 2 ** 20],
  [40, 2 ** 23],
];
const LEAST_RATIO = 0.8;

export async function measureFsck({ scratch, rounds }: Bench): Promise<Section> {
  const [full, empty] = [join(scratch, "stored"), join(scratch, "nothing-stored")];
  const megabytes = (await storeLayers(join(full, "origin/layers"))) / 1e6;
  await mkdir(join(empty, "origin/layers"), { recursive: true });
  const fsck = async (statePath: string) => {
    const env = { ...process.env, NIXPORT_STATE: statePath };
    const args = [COMMAND, "fsck", "--only", "origin"];
    return (await timeProgram(process.execPath, args, { env })).sample.wallSeconds;
  };
  const sums = `find "${full}/origin/layers" -type f -print0 | xargs -0 sha256sum > /dev/null`;
  const seconds = await interleave(
    [
      ["start", () => fsck(empty)],
      ["fsck", () => fsck(full)],
      ["sha256sum", async () => (await timeShell(sums)).sample.wallSeconds],
    ],
    rounds,
  );
  const of = (name: "start" | "fsck" | "sha256sum") => seconds.get(name) ?? [];
  const start = median(of("start"));
  const reading = of("fsck").map((each) => each - start);
  const { ratio, range } = compare(of("sha256sum"), reading);
  const row = (what: string, taken: readonly number[]): Row => ({
    what,
    "wall s": median(taken),
    "MB/s": megabytes / median(taken),
  });
  return {
    name: "fsck",
    title: `reading ${Math.round(megabytes)} MB in ${LAYERS.reduce((sum, [count]) => sum + count, 0)} layers`,
    tables: [
      [row("fsck", reading), row("sha256sum", of("sha256sum"))],
      [{ "fsck / sha256sum, MB/s": ratio, range, "start s": start }],
    ],
    bars: [bar("fsck over sha256sum, MB/s", ratio, "at least", LEAST_RATIO, "x")],
    notes: ["all files are in memory: what is measured is reading and hashing, and no disk"],
  };
}

/** Their bytes together. */
async function storeLayers(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  // The same bytes in each run, which nothing compresses.
  const stream = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  let sum = 0;
  for (const [count, sizeBytes] of LAYERS) {
    for (let place = 0; place < count; place += 1) {
      const bytes = stream.update(Buffer.alloc(sizeBytes));
      await writeFile(join(folder, hash("sha256", bytes, "hex")), bytes);
      sum += sizeBytes;
    }
  }
  return sum;
}
