import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { type Fit, fitNix } from "../../../origin/nix/fitting-nix.ts";
import type { PinnedNix } from "../../../origin/nix/pinned-nix.ts";
import { neededBy } from "../../../origin/sources/needed-nix.ts";
import type { Source } from "../../../origin/sources/source.ts";
import type { Ending } from "../fixture.ts";
import { askedStore, type FakeNix, plantNix } from "./fake-nix.ts";
import { tempDir } from "./fixture.ts";

const COMMIT = "a".repeat(40);
const channel = (name: string): Source => ({ kind: "nixpkgs", url: "https://x", channel: name });

describe("neededBy", () => {
  const rows: readonly [words: string, source: Source, version: string, isKnown: boolean][] = [
    ["a branch of nixpkgs", channel("nixos-unstable"), "2.18", false],
    ["a commit of nixpkgs, which may be of any age", channel(COMMIT), "2.8", true],
    ["a git repository", { kind: "git", url: "https://x" }, "2.8", true],
    ["a flake", { kind: "flake", url: "github:a/b" }, "2.8", true],
    ["a folder that says nothing", { kind: "path", path: "/nowhere" }, "2.8", true],
  ];
  test.for(rows)("is $2 for $0", async ([, source, version, isKnown]) =>
    expect(await neededBy(source)).toStrictEqual({ version, isKnown }),
  );

  test.for([
    ["2.24.0", "2.24.0"],
    ["2.3", "2.8"],
  ] as const)("is $1 for a folder that says $0", async ([said, needed]) => {
    const path = await tempDir(onTestFinished);
    await mkdir(join(path, "lib"));
    await writeFile(join(path, "lib/minver.nix"), `"${said}"`);
    const need = await neededBy({ kind: "path", path });
    expect(need).toStrictEqual({ version: needed, isKnown: true });
  });
});

describe("fitNix", () => {
  const rows: readonly [said: string, needed: string, kind: Fit["kind"]][] = [
    ["nix (Nix) 2.3.16", "2.8", "too-old"],
    ["nix (Nix) 2.8.0", "2.8", "fits"],
    ["nix (Nix) 2.8.0", "2.18", "too-old"],
    ["nix (Nix) 2.18.1", "2.18", "fits"],
    ["nix (Nix) 2.34.0pre20260101_abcdef0", "2.18.0", "fits"],
    ["garbage", "2.8", "unusable"],
    ["", "2.8", "unusable"],
  ];
  for (const [said, needed, kind] of rows) {
    test(`takes ${JSON.stringify(said)} for ${kind} where ${needed} is needed`, async () => {
      const fit = await fitted(onTestFinished, { version: said }, needed);
      expect(fit.kind).toBe(kind);
    });
  }

  test("says what a program that is no Nix answers", async () => {
    const fit = await fitted(onTestFinished, { version: "garbage" }, "2.8");
    expect(fit).toStrictEqual({ kind: "unusable", said: '"garbage"' });
  });

  test("says that there is no Nix", async (t) => {
    const options = { env: { PATH: "/nowhere" }, statePath: await tempDir(onTestFinished) };
    const fit = await fitNix("2.8", options);
    if (fit.kind === "fits") t.skip("Nix is installed where every environment finds it");
    else expect(fit.kind).toBe("absent");
  });
});

describe("a Nix that is too old", () => {
  test("fetches the pinned one, builds nothing for it, and gives way to it", async () => {
    const world = await openWorld(onTestFinished, { realise: 'ln -s "$pinned" "$root"' });
    const fit = await world.fit("2.18");
    assert(fit.kind === "fits", JSON.stringify(fit));
    expect(fit.version).toBe("2.31.2");
    expect(fit.env.PATH?.split(":")[0]).toBe(`${world.pinnedPath}/bin`);
    const [asked = "", ...more] = await askedStore(world.bin);
    expect(more).toStrictEqual([]);
    expect(asked).toMatch(
      new RegExp(`^--realise ${world.pinnedPath} --add-root ${world.statePath}/`),
    );
    expect(asked).toMatch(/ --indirect .*--option max-jobs 0 --option builders $/);
  });

  test("finds the pinned one where an earlier start has left it, and asks no cache", async () => {
    const world = await openWorld(onTestFinished, { realise: 'ln -s "$pinned" "$root"' });
    await world.fit("2.18");
    expect((await world.fit("2.18")).kind).toBe("fits");
    expect(await askedStore(world.bin)).toHaveLength(1);
  });

  test("says how far the download is, once for each tenth", async () => {
    const line = (rest: string) => `echo '@nix {${rest}}' >&2`;
    const progress = (bytes: number) =>
      line(`"action":"result","id":1,"type":105,"fields":[${bytes},90000000,0,0]`);
    const realise = [
      line('"action":"start","id":1,"type":100,"fields":[]'),
      ...[0, 9_000_000, 10_000_000, 89_000_000, 90_000_000].map(progress),
      'ln -s "$pinned" "$root"',
    ].join("\n");
    const world = await openWorld(onTestFinished, { realise });
    await world.fit("2.18");
    const said = ["9 of 90 MB", "89 of 90 MB", "90 of 90 MB"];
    expect(world.said).toStrictEqual(said.map((text) => `fetching Nix 2.31.2: ${text}`));
  });

  const refusals: readonly [words: string, nix: Partial<FakeNix>, why: RegExp][] = [
    ["no cache has it", {}, /-nix-2\.31\.2: no cache that this Nix asks has it$/],
    [
      "a cache does not answer",
      {
        realise: `echo "warning: unable to download 'https://cache/x': timeout (28)" >&2; exit 1`,
      },
      /: unable to download 'https:\/\/cache\/x': timeout \(28\)$/,
    ],
    [
      "its signature is wrong",
      { realise: `echo "error: path lacks a signature by a trusted key" >&2; exit 1` },
      /lacks a signature by a trusted key$/,
    ],
    ["nothing holds what was fetched", { realise: "true" }, /nothing holds it/],
  ];
  test.for(refusals)("stays where %s, and says so", async ([, nix, why]) => {
    const world = await openWorld(onTestFinished, nix);
    const fit = await world.fit("2.18");
    assert(fit.kind === "too-old", fit.kind);
    expect([fit.version, fit.needed, fit.isManaged]).toStrictEqual(["2.8.0", "2.18", false]);
    expect(fit.why).toMatch(why);
  });

  test("stays where what was fetched does not start", async () => {
    const world = await openWorld(onTestFinished, { realise: 'ln -s "$pinned" "$root"' });
    await plantNix(join(world.pinnedPath, "bin"), { version: "nix (Nix) 2.8.0" });
    const fit = await world.fit("2.18");
    assert(fit.kind === "too-old" && /does not start as a newer Nix \(2\.8\.0\)/.test(fit.why));
  });

  test("is left to the administrator where the store belongs to a daemon", async () => {
    const world = await openWorld(onTestFinished, {
      storeUrl: "daemon",
      realise: 'ln -s "$pinned" "$root"',
    });
    const fit = await world.fit("2.18");
    assert(fit.kind === "too-old" && fit.isManaged);
    expect(await askedStore(world.bin)).toStrictEqual([]);
  });

  test("asks no cache for what the pinned one is too old for, too", async () => {
    const world = await openWorld(onTestFinished, { realise: 'ln -s "$pinned" "$root"' });
    const fit = await world.fit("2.99");
    assert(fit.kind === "too-old");
    expect(fit.why).toBe("the newest that this program brings is 2.31.2");
    expect(await askedStore(world.bin)).toStrictEqual([]);
  });
});

async function fitted(onEnd: Ending, nix: FakeNix, needed: string): Promise<Fit> {
  const bin = await plantNix(join(await tempDir(onEnd), "bin"), nix);
  return await fitNix(needed, { env: pathOf(bin), statePath: await tempDir(onEnd) });
}

function pathOf(bin: string): Readonly<Record<string, string>> {
  return { PATH: `${bin}:/usr/bin:/bin` };
}

/** An old Nix, and a newer one at a store path, `$pinned`, that `nix-store` may make there. */
async function openWorld(onEnd: Ending, old: Partial<FakeNix>) {
  const dir = await tempDir(onEnd);
  const statePath = join(dir, "state");
  const pinnedPath = join(dir, `${"0".repeat(32)}-nix-2.31.2`);
  const realise = `pinned='${pinnedPath}'\n${old.realise ?? "exit 1"}`;
  const nix = { version: "nix (Nix) 2.8.0", ...old, realise };
  const bin = await plantNix(join(dir, "bin"), nix);
  await plantNix(join(pinnedPath, "bin"), { version: "nix (Nix) 2.31.2" });
  const paths = { "x86_64-linux": pinnedPath, "aarch64-linux": pinnedPath };
  const pinned: PinnedNix = { version: "2.31.2", paths };
  const said: string[] = [];
  const onProgress = (text: string) => said.push(text);
  const env = pathOf(bin);
  const fit = (needed: string) => fitNix(needed, { env, statePath, pinned, onProgress });
  return { bin, statePath, pinnedPath, said, fit };
}
