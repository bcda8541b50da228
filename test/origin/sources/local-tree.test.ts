// A local package set: pinned by what it holds, read again only when it looks changed.

import { mkdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { type LocalTreeOptions, openLocalTree } from "../../../origin/sources/local-tree.ts";
import { createResolver } from "../../../origin/sources/resolve.ts";
import type { Resolution, Source } from "../../../origin/sources/source.ts";
import { tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { NO_NIX } from "../nix/fixture.ts";

const LATEST = tagOf("latest");
/** Every file has been at rest for long by this clock. */
const LATER_MS = 60_000;

function pinOf(resolution: Resolution | undefined): string {
  assert(resolution?.kind === "pinned", JSON.stringify(resolution));
  return resolution.pin;
}

describe("the tag latest of a local path", () => {
  test("is what the path holds and where it really is", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await mkdir(join(folder, "real"));
    await writeFile(join(folder, "real/default.nix"), "{ }");
    await symlink("real", join(folder, "link"));
    const source: Source = { kind: "path", path: join(folder, "link") };
    const resolver = createResolver({ source, nix: NO_NIX, env: {}, now: Date.now });
    const found = await resolver.resolveAtOnce(LATEST);
    assert(found?.kind === "pinned" && found.source.kind === "path");
    expect(found.source.path).toBe(join(folder, "real"));
    const hex = Buffer.from(found.source.narHash.replace("sha256-", ""), "base64").toString("hex");
    expect(found.pin).toBe(`path-${hex}`);
    expect(found.immutable).toBe(false);
    expect((await resolver.resolve(tagOf("main"))).kind).toBe("unknown-tag");
    expect((await resolver.resolveAtOnce(tagOf("main")))?.kind).toBe("unknown-tag");
  });

  test("cannot be told when the path is gone", async () => {
    const source: Source = {
      kind: "path",
      path: join(await temporaryDirectory(onTestFinished), "gone"),
    };
    const resolver = createResolver({ source, nix: NO_NIX, env: {}, now: Date.now });
    for (const found of [await resolver.resolve(LATEST), await resolver.resolveAtOnce(LATEST)]) {
      expect(found).toStrictEqual({
        kind: "unreachable",
        message: "the package set cannot be read: ENOENT",
      });
    }
  });

  type Change = (file: (name: string) => string) => Promise<void>;
  const changes: readonly (readonly [string, Change])[] = [
    [
      "a new file whose name is not UTF-8",
      (file) => writeFile(Buffer.from(file("a/\xff"), "latin1"), "1"),
    ],
    ["a file of the same length", (file) => writeFile(file("a/b.nix"), "2")],
    ["a new file", (file) => writeFile(file("a/c.nix"), "1")],
    ["a file that is gone", (file) => rm(file("a/b.nix"))],
    ["another name", (file) => rename(file("a/b.nix"), file("a/c.nix"))],
    [
      "a file of the same length whose time was set back",
      async (file) => {
        await writeFile(file("a/b.nix"), "2");
        await utimes(file("a/b.nix"), 1, 1);
      },
    ],
  ];
  test.for(changes)("is another at once after a change: %s", async ([, change]) => {
    const path = await temporaryDirectory(onTestFinished);
    const file = (name: string) => join(path, name);
    await mkdir(file("a"));
    await writeFile(file("a/b.nix"), "1");
    await utimes(file("a/b.nix"), 1, 1);
    const source: Source = { kind: "path", path };
    const resolver = createResolver({ source, nix: NO_NIX, env: {}, now: Date.now });
    const before = pinOf(await resolver.resolveAtOnce(LATEST));
    expect(pinOf(await resolver.resolveAtOnce(LATEST))).toBe(before);
    await change(file);
    expect(pinOf(await resolver.resolveAtOnce(LATEST))).not.toBe(before);
  });

  test("stays when only git's own data changes", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "default.nix"), "1");
    const source: Source = { kind: "path", path };
    const resolver = createResolver({ source, nix: NO_NIX, env: {}, now: Date.now });
    const before = pinOf(await resolver.resolveAtOnce(LATEST));
    await mkdir(join(path, ".git"));
    await writeFile(join(path, ".git/HEAD"), "x");
    expect(pinOf(await resolver.resolveAtOnce(LATEST))).toBe(before);
  });
});

describe("reading a tree", () => {
  interface Reader {
    readonly readings: number;
    pin(path: string): Promise<Resolution>;
  }

  function countingReader(onRead: (readings: number) => Promise<void> = async () => undefined) {
    const reader = {
      readings: 0,
      async pin(): Promise<Resolution> {
        reader.readings += 1;
        const message = `reading ${reader.readings}`;
        await onRead(reader.readings);
        return { kind: "unreachable", message };
      },
    };
    return reader satisfies Reader;
  }

  function open(path: string, reader: Reader, now: LocalTreeOptions["now"]) {
    return openLocalTree({ path, withGit: false, pin: reader.pin, now });
  }

  test("happens once for as long as it looks the same and is at rest", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "a"), "1");
    const reader = countingReader();
    const tree = open(path, reader, () => Date.now() + LATER_MS);
    const first = await tree.resolveAtOnce();
    expect(await tree.resolveAtOnce()).toBe(first);
    expect(await tree.resolve()).toBe(first);
    expect(reader.readings).toBe(1);
  });

  test("happens each time while it was changed just now", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "a"), "1");
    const reader = countingReader();
    const tree = open(path, reader, () => Date.now() - LATER_MS);
    await tree.resolveAtOnce();
    await tree.resolveAtOnce();
    expect(reader.readings).toBe(2);
  });

  test("is repeated when the tree was written to meanwhile", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "a"), "1");
    const reader = countingReader(async (readings) => {
      if (readings === 1) await writeFile(join(path, "b"), "torn");
    });
    const found = await open(path, reader, Date.now).resolveAtOnce();
    expect(found).toStrictEqual({ kind: "unreachable", message: "reading 2" });
  });

  test("ends where the tree is written to all the time", async () => {
    const path = await temporaryDirectory(onTestFinished);
    const reader = countingReader((readings) => writeFile(join(path, `${readings}`), ""));
    const found = await open(path, reader, Date.now).resolveAtOnce();
    expect(found).toStrictEqual({
      kind: "unreachable",
      message: "the package set is being written to",
    });
    expect(reader.readings).toBe(3);
  });

  test("is left to the background for a tree of many files", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await Promise.all(
      Array.from({ length: 1001 }, (_, index) => writeFile(join(path, `${index}`), "")),
    );
    const reader = countingReader();
    const tree = open(path, reader, () => Date.now() + LATER_MS);
    expect(await tree.resolveAtOnce()).toBeUndefined();
    expect(reader.readings).toBe(0);
    await tree.resolve();
    await tree.resolve();
    expect(reader.readings).toBe(1);
  });
});
