// Popularity data that a set in git carries: real repositories, fetched by real Nix.

import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { obtainPopularity } from "../../../origin/popularity/obtain.ts";
import type { CountedSet } from "../../../origin/popularity/small-set.ts";
import { rememberPins } from "../../../origin/sources/pins.ts";
import type { Source } from "../../../origin/sources/source.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";
import { testNix } from "../nix/fixture.ts";
import { createRepository, GIT_ENV } from "../sources/git-repository.ts";

const nix = await testNix();
const GLIBC = storePathOf("glibc-2.36");
const COUNTED = 7;

/** One start after another on one storage, each of which asks the source anew what latest is. */
async function createStarts(onEnd: Ending, source: Source) {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const { log, lines } = readableLog();
  const { signal } = new AbortController();
  const common = { source, store, log, now: Date.now, signal };
  return {
    lines,
    /** How many need glibc, by what the start has obtained. */
    async start(): Promise<number> {
      const memory = await openFilesystemStore(await temporaryDirectory(onEnd));
      const pins = rememberPins({ ...common, store: memory, nix, env: GIT_ENV, freshMs: 0 });
      const counts = new Map([["glibc", COUNTED]]);
      const countSet = async (): Promise<CountedSet> => {
        return { kind: "counted", data: { kind: "derivations", counted: 10, counts } };
      };
      const options = { ...common, url: null, refreshMs: null, pins, countSet };
      return (await obtainPopularity(options)).count(GLIBC);
    },
  };
}

describe("popularity data of a set in git", { timeout: 60_000 }, () => {
  const FLAKE = "{ outputs = { self }: { }; }";
  const places: readonly [title: string, folder: string, (path: string) => Source][] = [
    ["a plain set", "", (path) => ({ kind: "git", url: path })],
    ["a flake", "", (path) => ({ kind: "flake", url: `git+file://${path}` })],
    [
      "a flake in a folder",
      "a/b",
      (path) => ({ kind: "flake", url: `git+file://${path}?dir=a/b` }),
    ],
  ];
  test.for(places)("are read of %s, at the revision of latest", async ([, folder, sourceOf]) => {
    const repository = await createRepository(onTestFinished);
    const write = async (name: string, text: string) => {
      await mkdir(join(repository.path, folder), { recursive: true });
      await writeFile(join(repository.path, folder, name), text);
    };
    const { start } = await createStarts(onTestFinished, sourceOf(repository.path));
    await write("flake.nix", FLAKE);
    await repository.commit("{ }");
    expect(await start()).toBe(COUNTED);
    await write("popularity.json", '{ "glibc": 42 }');
    expect(await start(), "it is not committed").toBe(COUNTED);
    repository.add("popularity");
    expect(await start()).toBe(42);
    await write("popularity.json", '{ "glibc": 43 }');
    repository.add("more popularity");
    expect(await start()).toBe(43);
  });

  test("stay when the source is gone, or has data that are none; and go when it has no more", async () => {
    const repository = await createRepository(onTestFinished);
    const file = join(repository.path, "popularity.json");
    const { start, lines } = await createStarts(onTestFinished, {
      kind: "git",
      url: repository.path,
    });
    await writeFile(file, '{ "glibc": 42 }');
    await repository.commit("{ }");
    expect(await start()).toBe(42);
    const away = `${repository.path}-away`;
    await rename(repository.path, away);
    expect(await start()).toBe(42);
    expect(String(lines.at(-1)?.reason)).toMatch(/does not appear to be a git repository/);
    await rename(away, repository.path);
    await writeFile(file, "[]");
    repository.add("broken");
    expect(await start()).toBe(42);
    expect(String(lines.at(-1)?.reason)).toMatch(/is no JSON object of names and counts$/);
    await rm(file);
    repository.add("none");
    expect(await start()).toBe(COUNTED);
    await rename(repository.path, away);
    expect(await start()).toBe(COUNTED);
    await rename(away, repository.path);
  });

  test("end the first start when they are none", async () => {
    const repository = await createRepository(onTestFinished);
    await writeFile(join(repository.path, "popularity.json"), "nonsense");
    await repository.commit("{ }");
    const { start } = await createStarts(onTestFinished, { kind: "git", url: repository.path });
    await expect(start()).rejects.toThrow(/the popularity data of the package set is no JSON/);
  });
});
