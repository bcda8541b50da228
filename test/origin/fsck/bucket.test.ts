// A storage in a bucket is looked at, and repaired, as one on a disk is.

import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkStorage } from "../../../origin/fsck/check.ts";
import { repairStorage } from "../../../origin/fsck/repair.ts";
import { createGcsStore } from "../../../origin/storage/gcs.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { openStaging } from "../../../origin/storage/staging.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { bytesOf, patternOf } from "../../contract/blob-store.ts";
import { skipWhere } from "../../skip-where.ts";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { bucketOf, type Emulator, missingEmulator, startEmulator } from "../storage/emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
let emulator: Emulator;
beforeAll(async () => {
  if (!onEmulator.skip) emulator = await startEmulator(atEnd);
});

describe("a bucket", onEmulator, () => {
  test("is found to be whole, or what is damaged in it is, and what names that goes with it", async () => {
    const stagingPath = await openStaging(await temporaryDirectory(onTestFinished));
    const bucket = bucketOf(emulator, await emulator.makeBucket());
    const store = createGcsStore({ bucket, stagingPath, copiesBytes: 1e9, pageSize: 2 });
    const check = () =>
      checkStorage({
        ...{ store, reads: "everything", onChecked: () => {} },
        signal: new AbortController().signal,
      });
    const [config, large] = [bytesOf("{}"), patternOf(5_000_000)];
    const [configDigest, largeDigest] = [await digestOf(config), await digestOf(large)];
    const manifest = bytesOf(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
        config: { digest: configDigest, size: config.length },
        layers: [{ digest: largeDigest, size: large.length }],
      }),
    );
    const layer = storageKey.layer(largeDigest);
    const named = storageKey.manifest(await digestOf(manifest));
    await store.store(storageKey.layer(configDigest), config);
    await store.store(layer, large);
    await store.store(named, manifest);
    expect((await check()).findings).toStrictEqual([]);

    await store.store(layer, Buffer.from(large).fill(0, 4_000_000, 4_000_001));
    const { findings } = await check();
    expect(findings).toStrictEqual([{ key: layer, kind: "damaged" }]);
    const repaired = await repairStorage({ store, found: findings, remake: async () => {}, check });
    expect(repaired).toStrictEqual({
      repairs: [
        { key: layer, kind: "gone" },
        { key: named, kind: "gone" },
      ],
      findings: [],
    });
  });
});
