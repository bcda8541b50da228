// A layer that is joined from segments in a bucket: they are read by ranges, once, and the bytes are those
// of a layer that was packed.

import { join } from "node:path";
import { assert, beforeAll, expect, onTestFinished, test } from "vitest";
import { createPackedLayers } from "../../../origin/images/packed-layers.ts";
import { createPacker } from "../../../origin/layers/packer.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { createGcsStore } from "../../../origin/storage/gcs.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { openStaging } from "../../../origin/storage/staging.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { patternOf } from "../../contract/blob-store.ts";
import { skipWhere } from "../../skip-where.ts";
import { endOfFile, readableLog, temporaryDirectory } from "../fixture.ts";
import { plant, storePath } from "../layers/fixture.ts";
import { startBetween } from "./between.ts";
import { bucketOf, type Emulator, missingEmulator, startEmulator } from "./emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
let emulator: Emulator;
beforeAll(async () => {
  if (!onEmulator.skip) emulator = await startEmulator(atEnd);
});

async function openBucketStore(at: Emulator, name: string): Promise<BlobStore> {
  const folder = await temporaryDirectory(onTestFinished);
  const stagingPath = await openStaging(join(folder, "staging"));
  return createGcsStore({ bucket: bucketOf(at, name), stagingPath, copiesBytes: 1e9 });
}

function openLayers(storeDirectory: string, store: BlobStore) {
  const packer = createPacker({ storeDirectory, workers: 1 });
  onTestFinished(() => packer.close());
  const { log, lines } = readableLog();
  const signal = AbortSignal.timeout(60_000);
  return { layers: createPackedLayers({ packer, store, log, signal }), lines };
}

function bundleOf(...storePaths: readonly StorePath[]) {
  return { storePaths, view: null, form: "gzip", sizeBytes: 1, group: "g" } as const;
}

test("a layer is joined from segments in a bucket", onEmulator, async () => {
  const [name, folder] = [await emulator.makeBucket(), await temporaryDirectory(onTestFinished)];
  // Bytes that gzip makes little of: below 64 KiB a segment is packed again instead.
  const holds = (seed: number) => ({ f: patternOf(400_000).map((byte, at) => byte ^ (at * seed)) });
  const one = plant(folder, storePath("one"), { holds: { f: Buffer.from(holds(1).f) } });
  const other = plant(folder, storePath("other"), { holds: { f: Buffer.from(holds(7).f) } });
  const first = openLayers(folder, await openBucketStore(emulator, name));
  for (const each of [one, other]) await first.layers.bundle(bundleOf(each));
  await first.layers.close();

  const between = await startBetween(onTestFinished, emulator);
  const second = openLayers(folder, await openBucketStore(between, name));
  const joined = await second.layers.bundle(bundleOf(one, other));
  await second.layers.bundle(bundleOf(other, one));
  expect(second.lines.map((line) => line.joined)).toStrictEqual([2, 2]);
  const ranges = between.seen.flatMap(({ headers }) => headers.range ?? []);
  expect(ranges).toHaveLength(2);
  for (const range of ranges) assert(/^bytes=[1-9]\d*-\d+$/.test(String(range)), String(range));

  const files = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  expect(await openLayers(folder, files).layers.bundle(bundleOf(one, other))).toStrictEqual(joined);
});

test(
  "a layer is packed where what its segments lie in is gone or damaged",
  onEmulator,
  async () => {
    const [name, folder] = [await emulator.makeBucket(), await temporaryDirectory(onTestFinished)];
    const path = plant(folder, storePath("one"), { holds: { f: patternOf(400_000) } });
    const store = await openBucketStore(emulator, name);
    const first = openLayers(folder, store);
    const { digest } = await first.layers.bundle(bundleOf(path));
    await first.layers.close();
    const key = storageKey.layer(digest);
    for (const damage of ["gone", "damaged"] as const) {
      if (damage === "gone") await store.remove(key);
      else await store.store(key, new Uint8Array(1_000_000));
      const again = openLayers(folder, await openBucketStore(emulator, name));
      expect((await again.layers.bundle(bundleOf(path))).digest).toBe(digest);
      expect(again.lines.map((line) => line.joined)).toStrictEqual([0]);
    }
  },
);
