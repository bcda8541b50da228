// What is noted of pulls, and when it is written.

import { expect, onTestFinished, test, vi } from "vitest";
import {
  createPullNotes,
  type NotedPull,
  parsePullNotes,
} from "../../../origin/pulled/pull-notes.ts";
import type { StorageKey } from "../../../origin/storage/keys.ts";
import type { PulledImage } from "../../../registry/between/pulled-images.ts";
import { digestOfText, packingIdOf, pinOf, tagOf } from "../../registry/fixture.ts";
import { readableLog } from "../fixture.ts";

const HOUR_MS = 3_600_000;
const NOON = Date.UTC(2026, 10, 28, 12);

function prepare() {
  vi.useFakeTimers({ now: NOON });
  onTestFinished(() => void vi.useRealTimers());
  const files = new Map<StorageKey, readonly NotedPull[]>();
  const writes: StorageKey[] = [];
  const store = {
    async remember(key: StorageKey, bytes: Uint8Array) {
      writes.push(key);
      files.set(key, parsePullNotes(bytes));
    },
  };
  const notes = createPullNotes({ store, now: Date.now, log: readableLog().log });
  return { notes, files, writes };
}

function imageOf(name: string): PulledImage {
  const of = {
    recipe: `cacert/${name}/iana-etc`,
    tag: tagOf("latest"),
    pin: pinOf("a".repeat(40)),
    packing: packingIdOf("packer.c1.g1.none"),
  };
  return { manifests: [digestOfText(name), digestOfText(`index of ${name}`)], of };
}

test("pulls are written a minute later, together", async () => {
  const { notes, files, writes } = prepare();
  notes.pulled(imageOf("git"));
  await vi.advanceTimersByTimeAsync(30_000);
  notes.pulled(imageOf("htop"));
  expect(writes).toStrictEqual([]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(writes).toHaveLength(1);
  expect(writes[0]).toMatch(/^pulls\/2026-11-28\//);
  expect([...files.values()].flat()).toStrictEqual([
    { ...imageOf("git"), pulledAtMs: NOON },
    { ...imageOf("htop"), pulledAtMs: NOON + 30_000 },
  ]);
});

test("an image that is pulled all the time is written once in an hour", async () => {
  const { notes, files, writes } = prepare();
  for (let minute = 0; minute < 130; minute += 1) {
    notes.pulled(imageOf("git"));
    await vi.advanceTimersByTimeAsync(60_000);
  }
  await notes.close();
  expect(writes).toHaveLength(3);
  expect(files.size).toBe(1);
  expect([...files.values()].flat()).toStrictEqual([
    { ...imageOf("git"), pulledAtMs: NOON + 2 * HOUR_MS },
  ]);
});

test("each day has a file of its own, and what was not written of the last one is", async () => {
  const { notes, files } = prepare();
  vi.setSystemTime(NOON + 12 * HOUR_MS - 1);
  notes.pulled(imageOf("git"));
  vi.setSystemTime(NOON + 12 * HOUR_MS);
  notes.pulled(imageOf("git"));
  await notes.close();
  expect([...files.keys()].map((key) => key.slice(0, 16))).toStrictEqual([
    "pulls/2026-11-28",
    "pulls/2026-11-29",
  ]);
  expect([...files.values()].map((each) => each.length)).toStrictEqual([1, 1]);
});

test("a pull by digest is noted with what is known of it", async () => {
  const { notes, files } = prepare();
  const image = imageOf("git");
  notes.pulled(image);
  vi.setSystemTime(NOON + 2 * HOUR_MS);
  for (const digest of image.manifests) notes.pulledAgain(digest);
  notes.pulledAgain(digestOfText("other"));
  await notes.close();
  const pulledAtMs = NOON + 2 * HOUR_MS;
  expect([...files.values()].flat()).toStrictEqual([
    { ...image, pulledAtMs },
    { manifests: [digestOfText("other")], of: null, pulledAtMs },
  ]);
});

test("more images in a day than a file takes have another", async () => {
  const { notes, files } = prepare();
  for (let place = 0; place < 10_001; place += 1) notes.pulled(imageOf(`p${place}`));
  await notes.close();
  expect([...files.values()].map((each) => each.length)).toStrictEqual([10_000, 1]);
});
