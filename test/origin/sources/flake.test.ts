// Flakes with real Nix: made of the Debian-backed set, which has no inputs, and evaluated.

import { cp, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { createResolver } from "../../../origin/sources/resolve.ts";
import type { Resolution, Source } from "../../../origin/sources/source.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { DEBIAN_SET } from "../../e2e/deployment.ts";
import { tagOf } from "../../registry/fixture.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { SYSTEM, testNix } from "../nix/fixture.ts";
import { createRepository, GIT_ENV } from "./git-repository.ts";

const limit = { timeout: 60_000 };
const nix = await testNix();
/** No Nix of the host's configuration asks a registry in these tests: none could answer. */
const FLAKE = `{
  outputs = { self }: {
    legacyPackages.${SYSTEM} = import ./. { system = "${SYSTEM}"; };
    packages.${SYSTEM}.own = self.legacyPackages.${SYSTEM}.hello // { meta = { description = "own"; }; };
  };
}`;

async function fillFlake(path: string, flake = FLAKE): Promise<void> {
  await cp(await realpath(DEBIAN_SET), path, { recursive: true });
  await writeFile(join(path, "flake.nix"), flake);
}

function resolverOf(onEnd: Ending, source: Source) {
  const ended = new AbortController();
  onEnd(() => ended.abort());
  return createResolver({ source, nix, env: GIT_ENV, now: Date.now, signal: ended.signal });
}

async function lookedUp(
  resolution: Resolution | undefined,
  ...names: readonly string[]
): Promise<readonly Lookup["kind"][]> {
  assert(resolution?.kind === "pinned", JSON.stringify(resolution));
  const signal = AbortSignal.timeout(limit.timeout);
  const found = await lookUp(nix, resolution.source, SYSTEM, names, signal);
  return found.map(({ lookup }) => lookup.kind as Lookup["kind"]);
}

describe("a flake in a git repository", limit, () => {
  test("has a pin for latest, a branch, a git tag, an escaped branch and a commit", async () => {
    const repository = await createRepository(onTestFinished);
    await fillFlake(repository.path);
    const first = repository.add("first");
    repository.git("branch", "old/first");
    repository.git("tag", "--annotate", "--message", "x", "v1");
    await writeFile(join(repository.path, "new"), "");
    const second = repository.add("second");
    const resolver = resolverOf(onTestFinished, {
      kind: "flake",
      url: `git+file://${repository.path}`,
    });
    for (const [tag, commit] of [
      ["latest", second],
      ["main", second],
      ["old--first", first],
      ["v1", first],
      [first, first],
    ] as const) {
      const found = await resolver.resolve(tagOf(tag));
      assert(found.kind === "pinned", JSON.stringify(found));
      expect(found.pin, tag).toBe(commit);
      expect(await lookedUp(found, "hello", "own", "nosuch")).toStrictEqual([
        ...["found", "found", "missing"],
      ]);
    }
    const unknown = await resolver.resolve(tagOf("mian"));
    assert(unknown.kind === "unknown-tag");
    expect(unknown.message).toMatch(/the nearest are main/);
  });

  test("has the revision of its reference for latest, or the one the operator says", async () => {
    const repository = await createRepository(onTestFinished);
    const first = await repository.commit("1");
    repository.git("branch", "side");
    const second = await repository.commit("2");
    const url = `git+file://${repository.path}`;
    for (const [source, commit] of [
      [{ kind: "flake", url: `${url}?ref=side` }, first],
      [{ kind: "flake", url: `${url}?ref=refs/heads/side` }, first],
      [{ kind: "flake", url: `${url}?rev=${first}` }, first],
      [{ kind: "flake", url: `${url}?ref=side`, latest: "main" }, second],
    ] as const) {
      const found = await resolverOf(onTestFinished, source).resolve(tagOf("latest"));
      assert(found.kind === "pinned", JSON.stringify(found));
      expect(found.pin).toBe(commit);
    }
  });
});

describe("a flake in a folder", limit, () => {
  test("is pinned by its content, and is another after an edit", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await fillFlake(path);
    const resolver = resolverOf(onTestFinished, { kind: "flake", url: `path:${path}` });
    const before = await resolver.resolveAtOnce(tagOf("latest"));
    assert(before?.kind === "pinned", JSON.stringify(before));
    expect(before.pin).toMatch(/^path-[0-9a-f]{64}$/);
    expect(await lookedUp(before, "hello")).toStrictEqual(["found"]);
    await writeFile(join(path, "flake.nix"), FLAKE.replace("own", "other"));
    const after = await resolver.resolveAtOnce(tagOf("latest"));
    assert(after?.kind === "pinned");
    expect(after.pin).not.toBe(before.pin);
    expect(await lookedUp(after, "own", "other")).toStrictEqual(["missing", "found"]);
    expect((await resolver.resolve(tagOf("main"))).kind).toBe("unknown-tag");
  });

  test.for([
    ["is not there", undefined, /flake\.nix/],
    [
      "has an input without a lock",
      '{ inputs.x.url = "path:/nonexistent"; outputs = { self, x }: { }; }',
      /nonexistent|lock file changes/,
    ],
  ] as const)("cannot be locked when it %s, and the answer says so", async ([, flake, says]) => {
    const path = await temporaryDirectory(onTestFinished);
    if (flake !== undefined) await writeFile(join(path, "flake.nix"), flake);
    const found = await resolverOf(onTestFinished, {
      kind: "flake",
      url: `path:${path}`,
    }).resolve(tagOf("latest"));
    assert(found.kind === "unreachable", JSON.stringify(found));
    expect(found.message).toMatch(says);
    expect(found.message, found.message).not.toContain(path);
  });
});

describe("a flake in an archive", limit, () => {
  test("is asked for only when a client may wait, and has latest only", async () => {
    const url = "http://127.0.0.1:9/set.tar.gz";
    const resolver = resolverOf(onTestFinished, { kind: "flake", url });
    expect(await resolver.resolveAtOnce(tagOf("latest"))).toBeUndefined();
    expect((await resolver.resolveAtOnce(tagOf("main")))?.kind).toBe("unknown-tag");
  });
});
