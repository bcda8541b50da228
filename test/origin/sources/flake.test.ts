// Flakes with real Nix: made of the Debian-backed set, which has no inputs, and evaluated.

import assert from "node:assert/strict";
import { cp, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { createResolver } from "../../../origin/sources/resolve.ts";
import type { Resolution, Source } from "../../../origin/sources/source.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { DEBIAN_SET } from "../../e2e/deployment.ts";
import { tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
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

function resolverOf(t: TestContext, source: Source) {
  const ended = new AbortController();
  t.after(() => ended.abort());
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
  test("has a pin for latest, a branch, a git tag, an escaped branch and a commit", async (t) => {
    const repository = await createRepository(t);
    await fillFlake(repository.path);
    const first = repository.add("first");
    repository.git("branch", "old/first");
    repository.git("tag", "--annotate", "--message", "x", "v1");
    await writeFile(join(repository.path, "new"), "");
    const second = repository.add("second");
    const resolver = resolverOf(t, { kind: "flake", url: `git+file://${repository.path}` });
    for (const [tag, commit] of [
      ["latest", second],
      ["main", second],
      ["old--first", first],
      ["v1", first],
      [first, first],
    ] as const) {
      const found = await resolver.resolve(tagOf(tag));
      assert(found.kind === "pinned", JSON.stringify(found));
      assert.equal(found.pin, commit, tag);
      assert.deepEqual(await lookedUp(found, "hello", "own", "nosuch"), [
        ...["found", "found", "missing"],
      ]);
    }
    const unknown = await resolver.resolve(tagOf("mian"));
    assert(unknown.kind === "unknown-tag");
    assert.match(unknown.message, /the nearest are main/);
  });

  test("has the revision of its reference for latest, or the one the operator says", async (t) => {
    const repository = await createRepository(t);
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
      const found = await resolverOf(t, source).resolve(tagOf("latest"));
      assert(found.kind === "pinned", JSON.stringify(found));
      assert.equal(found.pin, commit);
    }
  });
});

describe("a flake in a folder", limit, () => {
  test("is pinned by its content, and is another after an edit", async (t) => {
    const path = await temporaryDirectory(t);
    await fillFlake(path);
    const resolver = resolverOf(t, { kind: "flake", url: `path:${path}` });
    const before = await resolver.resolveAtOnce(tagOf("latest"));
    assert(before?.kind === "pinned", JSON.stringify(before));
    assert.match(before.pin, /^path-[0-9a-f]{64}$/);
    assert.deepEqual(await lookedUp(before, "hello"), ["found"]);
    await writeFile(join(path, "flake.nix"), FLAKE.replace("own", "other"));
    const after = await resolver.resolveAtOnce(tagOf("latest"));
    assert(after?.kind === "pinned");
    assert.notEqual(after.pin, before.pin);
    assert.deepEqual(await lookedUp(after, "own", "other"), ["missing", "found"]);
    assert.equal((await resolver.resolve(tagOf("main"))).kind, "unknown-tag");
  });

  for (const [title, flake, says] of [
    ["is not there", undefined, /flake\.nix/],
    [
      "has an input without a lock",
      '{ inputs.x.url = "path:/nonexistent"; outputs = { self, x }: { }; }',
      /nonexistent|lock file changes/,
    ],
  ] as const) {
    test(`cannot be locked when it ${title}, and the answer says so`, async (t) => {
      const path = await temporaryDirectory(t);
      if (flake !== undefined) await writeFile(join(path, "flake.nix"), flake);
      const found = await resolverOf(t, { kind: "flake", url: `path:${path}` }).resolve(
        tagOf("latest"),
      );
      assert(found.kind === "unreachable", JSON.stringify(found));
      assert.match(found.message, says);
      assert(!found.message.includes(path), found.message);
    });
  }
});

describe("a flake in an archive", limit, () => {
  test("is asked for only when a client may wait, and has latest only", async (t) => {
    const url = "http://127.0.0.1:9/set.tar.gz";
    const resolver = resolverOf(t, { kind: "flake", url });
    assert.equal(await resolver.resolveAtOnce(tagOf("latest")), undefined);
    assert.equal((await resolver.resolveAtOnce(tagOf("main")))?.kind, "unknown-tag");
  });
});
