// When an origin that serves takes away what nobody needs.

import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { collectOnTimer } from "../../../origin/gc/on-timer.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storageKey } from "../../../origin/storage/keys.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const HOUR_MS = 3_600_000;

async function prepare(gcEveryMs: number | null) {
  const root = await temporaryDirectory(onTestFinished);
  const store = await openFilesystemStore(root);
  const { log, lines } = readableLog();
  const stop = new AbortController();
  const plant = async (name: string) => {
    const key = storageKey.layer(digestOfText(name));
    await store.store(key, Buffer.from(name));
    await utimes(join(root, key), 1, 1);
    return async () => (await store.sizeBytes(key)) !== undefined;
  };
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const collector = collectOnTimer({
    ...{ store, edge: null, gcEveryMs, gcKeepMs: 30 * 24 * HOUR_MS, gcMaxBytes: null },
    ...{ now: Date.now, log, signal: stop.signal },
  });
  const pass = async (ms: number) => {
    vi.advanceTimersByTime(ms);
    await collector.settled();
  };
  return { plant, pass, stop, lines };
}

test("it does so ten minutes after its start, and then each time", async () => {
  const { plant, pass, lines } = await prepare(24 * HOUR_MS);
  const first = await plant("first");
  await pass(600_000 - 1);
  expect(await first()).toBe(true);
  await pass(1);
  expect(await first()).toBe(false);
  const second = await plant("second");
  await pass(24 * HOUR_MS - 1);
  expect(await second()).toBe(true);
  await pass(1);
  expect(await second()).toBe(false);
  const said = lines.filter(({ msg }) => msg === "took away what nobody needs");
  expect(said.map(({ before, after }) => [before, after])).toStrictEqual([
    [5, 0],
    [6, 0],
  ]);
});

test("it never does where it is not told to, nor once it goes down", async () => {
  const silent = await prepare(null);
  const there = await silent.plant("there");
  await silent.pass(1000 * HOUR_MS);
  expect(await there()).toBe(true);
  vi.useRealTimers();

  const { plant, pass, stop } = await prepare(HOUR_MS);
  const left = await plant("left");
  stop.abort();
  await pass(10 * HOUR_MS);
  expect(await left()).toBe(true);
});
