// Which images are kept, and in which order what they are made of is stored.

import { describe, expect, test } from "vitest";
import { createKeptImages } from "../../../origin/images/kept-images.ts";
import type { StorageKey } from "../../../origin/storage/keys.ts";
import { composed } from "../../registry/pantry.ts";
import { readableLog } from "../fixture.ts";

function open(options: { isListed?: (what: string) => boolean; isFull?: boolean } = {}) {
  const stored: StorageKey[] = [];
  let nowMs = 0;
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const { log, lines } = readableLog();
  const kept = createKeptImages({
    ...options,
    store: {
      async create(key) {
        if (options.isFull) throw new Error("no space");
        stored.push(key);
        return true;
      },
    },
    now: () => nowMs,
    log,
  });
  return { kept, stored, lines, pass };
}

describe("an image is wanted", () => {
  test("when it is asked for again between a minute and a day after the first time", () => {
    const { kept, pass } = open();
    const wanted = [0, 59_999, 1, 86_339_999, 1, 60_000].map((ms) => {
      pass(ms);
      return kept.isWanted("git:latest");
    });
    expect(wanted).toStrictEqual([false, false, true, true, false, true]);
    expect(kept.isWanted("htop:latest")).toBe(false);
  });

  test("when an operator has listed it", () => {
    const { kept } = open({ isListed: (what) => what === "git:latest" });
    expect(["git:latest", "htop:latest"].map(kept.isWanted)).toStrictEqual([true, false]);
  });
});

describe("an image is kept", () => {
  test("config first, then the manifest, then the index", async () => {
    const { kept, stored } = open();
    const image = await composed("git", "oci-gzip");
    const other = await composed("perl", "oci-gzip");
    const manifest = { digest: other.manifest.digest, bytes: new Uint8Array() };
    expect(await kept.keep({ images: [image], manifest })).toBe(true);
    const hex = (digest: string) => digest.slice("sha256:".length);
    expect(stored).toStrictEqual([
      `layers/${hex(image.config.digest)}`,
      `manifests/${hex(image.manifest.digest)}`,
      `manifests/${hex(other.manifest.digest)}`,
    ]);
  });

  test("or not, where the disk is full: then the log says so and nobody is refused", async () => {
    const { kept, lines } = open({ isFull: true });
    const image = await composed("git", "oci-gzip");
    expect(await kept.keep({ images: [image], manifest: image.manifest })).toBe(false);
    expect(lines.map(({ msg }) => msg)).toStrictEqual(["an image is not on disk"]);
  });
});
