// A collection of a bucket that two origins share: what either was pulled from stays, and the rest goes for both.

import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkStorage } from "../../../origin/fsck/check.ts";
import { type Collected, collect } from "../../../origin/gc/collect.ts";
import { DAY_MS, type Rules } from "../../../origin/gc/rules.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import type { StoragePrefix } from "../../../origin/storage/keys.ts";
import { openStorage } from "../../../origin/storage/open-storage.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { skipWhere } from "../../skip-where.ts";
import { endOfFile, readableLog, temporaryDirectory } from "../fixture.ts";
import { type House, type Pulled, plantSet, startHouse } from "../house.ts";
import { type Emulator, missingEmulator, startEmulator } from "../storage/emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
const { signal } = new AbortController();
let emulator: Emulator;
let setPath: string;
beforeAll(async () => {
  if (onEmulator.skip) return;
  emulator = await startEmulator(atEnd);
  setPath = await plantSet(atEnd);
});

async function startOn(bucket: string): Promise<House> {
  const variables = {
    ...{ NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: bucket, NIXPORT_REDIRECT: "never" },
    STORAGE_EMULATOR_HOST: emulator.url,
  };
  const state = await temporaryDirectory(onTestFinished);
  return startHouse(onTestFinished, setPath, state, variables);
}

/** As the command does, on a machine of its own. */
async function storeOf(name: string): Promise<BlobStore> {
  const bucket = { name, endpoint: emulator.url, redirect: "never", copiesBytes: 0 } as const;
  const storagePath = join(await temporaryDirectory(onTestFinished), "origin");
  const { log } = readableLog();
  return (await openStorage({ storagePath, bucket }, { now: Date.now, log })).store;
}

function collectIn(store: BlobStore, rules: Partial<Rules>): Promise<Collected> {
  const usual = { keepMs: 30 * DAY_MS, graceMs: DAY_MS, maxBytes: null, nowMs: Date.now() };
  const options = { store, rules: { ...usual, ...rules }, edge: null, isDryRun: false };
  return collect({ ...options, onSwept: () => {}, signal });
}

async function faultsOf(store: BlobStore): Promise<readonly unknown[]> {
  return (await checkStorage({ store, reads: "everything", onChecked: () => {}, signal })).findings;
}

async function countOf(store: BlobStore, prefix: StoragePrefix): Promise<number> {
  let count = 0;
  for await (const _ of store.list(prefix)) count += 1;
  return count;
}

async function pullWhole(house: House, name: string, before: Pulled): Promise<void> {
  const { digest, manifest } = await house.pull(name);
  expect(digest).toBe(before.digest);
  for (const layer of manifest.layers) {
    const response = await house.request(`/v2/${name}/blobs/${layer.digest}`);
    expect(await digestOf(await response.bytes()), `${response.status}`).toBe(layer.digest);
  }
}

describe("a bucket of two origins", { ...onEmulator, timeout: 120_000 }, () => {
  test("loses what was pulled from neither for long, and is under its limit", async () => {
    const bucket = await emulator.makeBucket();
    const [first, second] = [await startOn(bucket), await startOn(bucket)];
    const [hello, heavy] = [await first.pull("hello"), await first.pull("heavy")];
    second.pass(10 * DAY_MS);
    await second.pull("hello");
    for (const { origin } of [first, second]) await origin.close();

    const store = await storeOf(bucket);
    expect(await countOf(store, "pulls/")).toBe(2);
    const young = await collectIn(store, { keepMs: 0, maxBytes: 0 });
    expect(young.bytes.after).toBe(young.bytes.before);

    const nowMs = Date.now() + 11 * DAY_MS;
    const { images, bytes } = await collectIn(store, { keepMs: 5 * DAY_MS, nowMs });
    expect(images).toStrictEqual({ kept: 1, overLimit: 0, old: 1 });
    expect(bytes.after).toBeLessThan(bytes.before);
    expect(await faultsOf(store)).toStrictEqual([]);

    const third = await startOn(bucket);
    await pullWhole(third, "hello", hello);
    expect(third.packed()).toStrictEqual([]);
    await pullWhole(third, "heavy", heavy);
    expect(third.packed().flat().join(" ")).toMatch(/-heavy-1\.0/);
    await third.origin.close();

    const maxBytes = bytes.after;
    const limited = await collectIn(store, { nowMs: nowMs + 2 * DAY_MS, maxBytes });
    assert(limited.images.overLimit > 0);
    expect(limited.bytes.after).toBeLessThanOrEqual(maxBytes);
    expect(await faultsOf(store)).toStrictEqual([]);
  });
});
