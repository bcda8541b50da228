// Layers and records of one ground are never taken for those of another.

import { expect, onTestFinished, test } from "vitest";
import { createPackedLayers } from "../../../origin/images/packed-layers.ts";
import { createRecordMaker } from "../../../origin/images/record-maker.ts";
import { BASE_ENTRIES, GROUND_ID } from "../../../origin/layers/base.ts";
import { packerId } from "../../../origin/layers/compression.ts";
import { drawHere } from "../../../origin/layers/draw-view.ts";
import { archiveEntries, packEntries } from "../../../origin/layers/entries.ts";
import { databaseId } from "../../../origin/layers/nix-database.ts";
import { createPacker } from "../../../origin/layers/packer.ts";
import { NO_POPULARITY } from "../../../origin/layers/popularity.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { FORMS } from "../../../registry/image/record.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const GROUND = { kind: "ground", outputs: [] } as const;

async function openLayers() {
  const folder = await temporaryDirectory(onTestFinished);
  const store = await openFilesystemStore(folder);
  const packer = createPacker({ storeDirectory: folder });
  onTestFinished(() => packer.close());
  const { log } = readableLog();
  const layers = createPackedLayers({ packer, store, log, signal: AbortSignal.timeout(60_000) });
  return { store, layers };
}

test("the packing id has the ground's bytes in it, and how databases of Nix are written", async () => {
  const digest = await digestOf(archiveEntries(BASE_ENTRIES));
  expect(digest.startsWith(`sha256:${GROUND_ID}`)).toBe(true);
  const { layers } = await openLayers();
  const options = { layers, popularity: NO_POPULARITY, draw: drawHere("/nix/store") };
  const { packings } = createRecordMaker(options);
  for (const form of FORMS) {
    const facts = packings[form].split(".");
    expect(facts).toEqual(expect.arrayContaining([`g${GROUND_ID}`, `d${databaseId()}`]));
  }
});

test("a layer that was packed when the ground was another is packed anew", async () => {
  const { store, layers } = await openLayers();
  const { bytes, ...before } = packEntries(
    [{ kind: "directory", path: "etc", mode: 0o755 }],
    "zstd",
  );
  await store.store(storageKey.layer(before.digest), bytes);
  const known = storageKey.build(packerId("zstd"), [], GROUND);
  await store.store(known, Buffer.from(JSON.stringify(before)));

  const view = { of: GROUND, tar: archiveEntries(BASE_ENTRIES) };
  const bundle = { storePaths: [], view, form: "zstd", sizeBytes: 0, group: "ground" } as const;
  const layer = await layers.bundle(bundle);
  expect(layer.digest).toBe(packEntries(BASE_ENTRIES, "zstd").digest);
});
