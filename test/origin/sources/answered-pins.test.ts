// The pins at which images were answered: in order, bounded, on disk before they are needed.

import { describe, expect, onTestFinished, test } from "vitest";
import {
  type AnsweredPins,
  MAX_ANSWERED_PINS,
  openAnsweredPins,
} from "../../../origin/sources/answered-pins.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { pinOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const pin = (index: number) => pinOf(index.toString(16).padStart(40, "0"));

async function shelf() {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  let writes = 0;
  let isFull = false;
  const counted: BlobStore = {
    ...store,
    async store(key, bytes) {
      if (isFull) throw new Error("no space");
      writes += 1;
      await store.store(key, bytes);
    },
  };
  const { log, lines } = readableLog();
  return {
    lines,
    open: (sourceId = "a source") => openAnsweredPins({ store: counted, sourceId, log }),
    writes: () => writes,
    fill() {
      isFull = true;
    },
  };
}

async function noteAll(pins: AnsweredPins, ...indexes: readonly number[]): Promise<void> {
  for (const index of indexes) await pins.note(pin(index));
}

describe("answered pins", () => {
  test("are there after a restart, the newest first, of their source", async () => {
    const { open } = await shelf();
    await noteAll(await open(), 1, 2, 3);
    expect((await open()).newest()).toStrictEqual([3, 2, 1].map(pin));
    expect((await open("another")).newest()).toStrictEqual([]);
  });

  test("are written where one is new, and not where it is used again", async () => {
    const { open, writes } = await shelf();
    const pins = await open();
    await noteAll(pins, 1, 2, 1, 1, 2);
    expect(writes()).toBe(2);
    expect(pins.newest()).toStrictEqual([2, 1].map(pin));
  });

  test("are bounded: the one used longest ago is forgotten", async () => {
    const { open } = await shelf();
    const pins = await open();
    const indexes = Array.from({ length: MAX_ANSWERED_PINS }, (_, index) => index);
    await noteAll(pins, ...indexes, 0, MAX_ANSWERED_PINS);
    for (const each of [pins, await open()]) {
      expect(each.newest()).toHaveLength(MAX_ANSWERED_PINS);
      expect(each.newest()).toContain(pin(0));
      expect(each.newest()).not.toContain(pin(1));
    }
  });

  test("of two origins of one storage are all found by the next", async () => {
    const { open } = await shelf();
    const [one, other] = [await open(), await open()];
    await noteAll(one, 1);
    await noteAll(other, 2);
    await noteAll(one, 3);
    expect(new Set((await open()).newest())).toStrictEqual(new Set([1, 2, 3].map(pin)));
  });

  test("count in memory where the disk is full, which the log says", async () => {
    const { open, fill, lines } = await shelf();
    const pins = await open();
    fill();
    await noteAll(pins, 1);
    expect(pins.newest()).toStrictEqual([pin(1)]);
    expect(lines.map(({ msg }) => msg)).toStrictEqual([
      "a pin that images were answered at is not on disk",
    ]);
  });
});
