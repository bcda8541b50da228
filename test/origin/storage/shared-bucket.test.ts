// Two origins on one bucket: what one has made, the other has; what both make at once is there once.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkStorage } from "../../../origin/fsck/check.ts";
import { listedKey } from "../../../origin/storage/keys.ts";
import { openStorage } from "../../../origin/storage/open-storage.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, endOfFile, readableLog, temporaryDirectory } from "../fixture.ts";
import { plantSet, startHouse } from "../house.ts";
import { type Between, startBetween } from "./between.ts";
import { type Emulator, missingEmulator, startEmulator } from "./emulator.ts";

const atEnd = endOfFile();
const onEmulator = skipWhere(await missingEmulator());
let emulator: Emulator;
beforeAll(async () => {
  if (!onEmulator.skip) emulator = await startEmulator(atEnd);
});

async function startOn(onEnd: Ending, { url }: Emulator, bucket: string, set: string) {
  const variables = {
    ...{ NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: bucket, STORAGE_EMULATOR_HOST: url },
    NIXPORT_REDIRECT: "public",
  };
  return startHouse(onEnd, set, await temporaryDirectory(onEnd), variables);
}

async function objectsIn(bucket: string): Promise<readonly string[]> {
  const response = await fetch(`${emulator.url}/storage/v1/b/${bucket}/o`);
  const { items = [] } = (await response.json()) as { items?: { name: string }[] };
  // Each origin notes for itself, and each time anew, what was pulled from it.
  return items.map(({ name }) => name.replace(/^pulls\/.*/, "pulls")).sort();
}

function sentTo({ seen }: Between): readonly string[] {
  return seen
    .filter(({ method, path }) => method === "POST" && path.startsWith("/upload/"))
    .map(
      ({ query, body }) => query.get("name") ?? /"name":"([^"]*)"/.exec(String(body))?.[1] ?? "",
    );
}

describe("origins on one bucket", { ...onEmulator, timeout: 120_000 }, () => {
  test("make one set of objects of the same image at once, with one digest", async () => {
    const bucket = await emulator.makeBucket();
    const set = await plantSet(onTestFinished);
    const houses = await Promise.all(
      [1, 2].map(() => startOn(onTestFinished, emulator, bucket, set)),
    );
    const pulled = await Promise.all(houses.map((house) => house.pull("hello/tools")));
    expect(pulled[1]).toStrictEqual(pulled[0]);
    await Promise.all(houses.map(({ origin }) => origin.close()));
    const alone = await emulator.makeBucket();
    const house = await startOn(onTestFinished, emulator, alone, set);
    expect(await house.pull("hello/tools")).toStrictEqual(pulled[0]);
    await house.origin.close();
    const objects = [...new Set(await objectsIn(bucket))];
    expect(objects).toStrictEqual([...new Set(await objectsIn(alone))]);
    expect(objects.filter((name) => /^(?:outbox|pushed|tracked|staging)/.test(name))).toStrictEqual(
      [],
    );
    const collections = new Set(objects.map((name) => name.split("/")[0]));
    for (const one of ["layers", "segments", "records", "lookups", "pins", "popularity"]) {
      expect([...collections]).toContain(one);
    }
  });

  test("have what another has made, without Nix, and join layers of its segments", async () => {
    const bucket = await emulator.makeBucket();
    const set = await plantSet(onTestFinished);
    const first = await startOn(onTestFinished, emulator, bucket, set);
    const made = await first.pull("hello");
    await first.origin.close();

    const between = await startBetween(onTestFinished, emulator);
    const second = await startOn(onTestFinished, between, bucket, set);
    between.forget();
    expect(await second.pull("hello")).toStrictEqual(made);
    expect(second.started).toStrictEqual([]);
    expect(second.packed()).toStrictEqual([]);
    expect(sentTo(between)).toStrictEqual([]);

    await second.pull("hullo");
    const packed = second.packed().flat();
    expect(packed.some((path) => path.endsWith("-hullo-1.0"))).toBe(true);
    expect(packed.some((path) => path.endsWith("-shared-1.0"))).toBe(false);
    const own = await readdir(join(second.statePath, "origin"));
    expect(own.filter((name) => name !== "staging")).toStrictEqual([]);
  });

  test("have all of it read by fsck, which finds what has other bytes", async () => {
    const bucket = await emulator.makeBucket();
    const house = await startOn(onTestFinished, emulator, bucket, await plantSet(onTestFinished));
    const { manifest } = await house.pull("hello");
    await house.origin.close();
    const config = {
      name: bucket,
      endpoint: emulator.url,
      redirect: "never",
      copiesBytes: 0,
    } as const;
    const storagePath = join(house.statePath, "origin");
    const { log } = readableLog();
    const { store } = await openStorage({ storagePath, bucket: config }, { now: Date.now, log });
    const { signal } = new AbortController();
    const check = () => checkStorage({ store, reads: "everything", onChecked() {}, signal });
    expect((await check()).findings).toStrictEqual([]);
    const key = listedKey(`layers/${manifest.layers[0]?.digest.slice(7)}`);
    const bytes = await store.lookup(key);
    assert(bytes !== undefined);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await store.store(key, bytes);
    expect((await check()).findings).toMatchObject([{ key, kind: "damaged" }]);
  });

  test("send clients to it, which get what they were told", async () => {
    const bucket = await emulator.makeBucket();
    const house = await startOn(onTestFinished, emulator, bucket, await plantSet(onTestFinished));
    const { manifest } = await house.pull("hello");
    for (const { digest, size } of manifest.layers) {
      const path = `/v2/hello/blobs/${digest}`;
      for (const method of ["GET", "HEAD"]) {
        const sent = await house.request(path, { method, redirect: "manual" });
        expect(sent.status).toBe(307);
        const followed = await house.request(path, { method });
        expect(followed.status).toBe(200);
        expect(Number(followed.headers.get("Content-Length"))).toBe(size);
        await followed.body?.cancel();
      }
    }
  });

  test("fail with 503 while it does, and go on as soon as it answers", async () => {
    const bucket = await emulator.makeBucket();
    const between = await startBetween(onTestFinished, emulator);
    const house = await startOn(onTestFinished, between, bucket, await plantSet(onTestFinished));
    between.failing(() => ({ status: 403 }));
    const response = await house.request("/v2/hello/manifests/latest");
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).not.toBeNull();
    expect(await response.text()).toMatch(/the storage refuses this host/);
    between.failing(() => undefined);
    const { manifest } = await house.pull("hello");
    expect(manifest.layers.length).toBeGreaterThan(0);
  });

  test("refuse to start without it, and say what it says", async () => {
    const set = await plantSet(onTestFinished);
    const starting = startOn(onTestFinished, emulator, "no-such-bucket", set);
    await expect(starting).rejects.toThrow(/^the bucket no-such-bucket cannot be used: Not Found$/);
  });
});
