// Tags to pins: what each kind of source takes a tag for, asked of real repositories.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { failureError } from "../../../origin/failures/failures.ts";
import { GIT_MISSING } from "../../../origin/sources/git-process.ts";
import { createResolver, type Environment } from "../../../origin/sources/resolve.ts";
import {
  describeSource,
  type Resolution,
  type Source,
  sourceId,
} from "../../../origin/sources/source.ts";
import type { Tag } from "../../../registry/naming/reference.ts";
import { tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { NO_NIX } from "../nix/fixture.ts";
import { createRepository, GIT_ENV } from "./git-repository.ts";

const limit = { timeout: 30_000 };

/** As a start does that remembers nothing. */
function resolveTag(source: Source, tag: Tag, env: Environment): Promise<Resolution> {
  return createResolver({ source, nix: NO_NIX, env, now: Date.now }).resolve(tag);
}

describe("a tag of a git repository", limit, () => {
  test("is a branch, a git tag of either kind, or the default branch", async () => {
    const repository = await createRepository(onTestFinished);
    const first = await repository.commit("1");
    repository.git("tag", "light");
    repository.git("tag", "--annotate", "--message", "x", "annotated");
    repository.git("branch", "release-1.0");
    const second = await repository.commit("2");
    const source: Source = { kind: "git", url: repository.path };
    for (const [tag, commit, ref] of [
      ["latest", second, "HEAD"],
      ["main", second, "refs/heads/main"],
      ["release-1.0", first, "refs/heads/release-1.0"],
      ["light", first, "refs/tags/light"],
      ["annotated", first, "refs/tags/annotated"],
    ] as const) {
      expect(await resolveTag(source, tagOf(tag), GIT_ENV)).toStrictEqual({
        ...{ kind: "pinned", pin: commit, immutable: false },
        source: { kind: "git", url: repository.path, commit, ref },
      });
    }
  });

  test("is the branch where a git tag has the same name", async () => {
    const repository = await createRepository(onTestFinished);
    await repository.commit("1");
    repository.git("tag", "both");
    const second = await repository.commit("2");
    repository.git("branch", "both");
    const source: Source = { kind: "git", url: `file://${repository.path}` };
    const found = await resolveTag(source, tagOf("both"), GIT_ENV);
    assert(found.kind === "pinned");
    expect(found.pin).toBe(second);
  });

  test("is a full commit, for ever, without asking anyone", async () => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const source: Source = { kind: "git", url: "/nowhere" };
    expect(await resolveTag(source, tagOf(commit), { PATH: "" })).toStrictEqual({
      ...{ kind: "pinned", pin: commit, immutable: true },
      source: { kind: "git", url: "/nowhere", commit },
    });
  });

  test.for([
    ["mian", "the nearest are main;"],
    ["release-1.1", "the nearest are release-1.0;"],
    ["feature--knew", "the nearest are feature--new;"],
    ["0123456789abcdef", "a commit is a tag with all its 40 digits only;"],
    ["zzz", "the nearest are feature--new, main, release-1.0;"],
  ] as const)("is unknown when it is %s, and the answer says what exists", async ([tag, says]) => {
    const repository = await createRepository(onTestFinished);
    await repository.commit("1");
    repository.git("tag", "release-1.0");
    repository.git("branch", "feature/new");
    repository.git("branch", "no+tag+of+an+image");
    const source: Source = { kind: "git", url: repository.path };
    const found = await resolveTag(source, tagOf(tag), GIT_ENV);
    assert(found.kind === "unknown-tag", JSON.stringify(found));
    expect(found.message.startsWith(`no tag "${tag}": ${says}`), found.message).toBe(true);
    expect(found.message).toMatch(/; tags are latest .*, or a full commit$/);
  });

  test("is what the operator says for latest, a branch, a git tag or a commit", async () => {
    const repository = await createRepository(onTestFinished);
    const first = await repository.commit("1");
    repository.git("branch", "release/1.0");
    repository.git("tag", "v1");
    await repository.commit("2");
    const url = repository.path;
    for (const latest of ["release/1.0", "release--1.0", "refs/heads/release/1.0", "v1", first]) {
      const found = await resolveTag({ kind: "git", url, latest }, tagOf("latest"), GIT_ENV);
      assert(found.kind === "pinned", latest);
      expect([found.pin, found.immutable]).toStrictEqual([first, false]);
    }
    const source: Source = { kind: "git", url, latest: "release/1.1" };
    const absent = await resolveTag(source, tagOf("latest"), GIT_ENV);
    assert(absent.kind === "unknown-tag");
    expect(absent.message).toMatch(
      /^no tag "latest": it is to be release\/1\.1, which does not exist; the nearest are release--1\.0;/,
    );
  });

  test("reaches a branch whose name has slashes by two hyphens for each", async () => {
    const repository = await createRepository(onTestFinished);
    const commit = await repository.commit("1");
    repository.git("branch", "feature/a/b");
    const source: Source = { kind: "git", url: repository.path };
    const found = await resolveTag(source, tagOf("feature--a--b"), GIT_ENV);
    assert(found.kind === "pinned" && found.source.kind === "git", JSON.stringify(found));
    expect(found.pin).toBe(commit);
    expect(found.source.ref).toBe("refs/heads/feature/a/b");
  });

  test("cannot be told when the remote is gone, and the answer says why", async () => {
    const gone = join(await temporaryDirectory(onTestFinished), "gone");
    for (const [url, why] of [
      [gone, /does not appear to be a git repository/],
      ["http://127.0.0.1:9/x", /127\.0\.0\.1/],
    ] as const) {
      const found = await resolveTag({ kind: "git", url }, tagOf("latest"), GIT_ENV);
      assert(found.kind === "unreachable");
      expect(found.message).toMatch(why);
      const error = failureError(found);
      expect(error.message).toMatch(why);
      expect(error.message, "it names a folder of this host").not.toContain(gone);
    }
  });

  test("is asked for without showing git a secret of the origin's", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    await writeFile(join(folder, "git"), `#!/bin/sh\nexec /usr/bin/env > ${folder}/env`, {
      mode: 0o755,
    });
    const env = { PATH: folder, HOME: "/home/a", NIXPORT_SECRET: "secret" };
    await resolveTag({ kind: "git", url: "/x" }, tagOf("latest"), env);
    const seen = await readFile(join(folder, "env"), "utf8");
    expect(seen).toMatch(/^HOME=\/home\/a$/m);
    expect(seen).not.toMatch(/secret/i);
  });

  test("cannot be told without git", async () => {
    const source: Source = { kind: "git", url: "/x" };
    const env = { PATH: await temporaryDirectory(onTestFinished) };
    const found = await resolveTag(source, tagOf("latest"), env);
    expect(found).toStrictEqual({ kind: "unreachable", message: GIT_MISSING });
  });

  test("does not exist in an empty repository", async () => {
    const { path } = await createRepository(onTestFinished);
    const found = await resolveTag({ kind: "git", url: path }, tagOf("latest"), GIT_ENV);
    expect(found.kind).toBe("unknown-tag");
  });
});

describe("a tag of nixpkgs", limit, () => {
  test("is a channel, a commit, or latest for the configured one", async () => {
    const repository = await createRepository(onTestFinished);
    const commit = await repository.commit("1");
    for (const branch of ["nixos-unstable", "nixos-25.11", "release-25.11", "my-branch"]) {
      repository.git("branch", branch);
    }
    const url = repository.path;
    const source: Source = { kind: "nixpkgs", url, channel: "my-branch" };
    for (const tag of ["latest", "nixos-unstable", "nixos-25.11", "release-25.11"]) {
      expect(await resolveTag(source, tagOf(tag), GIT_ENV)).toStrictEqual({
        ...{ kind: "pinned", pin: commit, immutable: false },
        source: { kind: "nixpkgs", url, commit },
      });
    }
    const byCommit = await resolveTag(source, tagOf(commit), { PATH: "" });
    assert(byCommit.kind === "pinned" && byCommit.immutable);
    const absent = await resolveTag(source, tagOf("nixos-19.03"), GIT_ENV);
    expect(absent.kind).toBe("unknown-tag");
  });

  test("is no branch that is no channel, and the answer names the channels nearest", async () => {
    const repository = await createRepository(onTestFinished);
    await repository.commit("1");
    for (const branch of ["nixos-unstable", "nixos-25.11", "staging"]) {
      repository.git("branch", branch);
    }
    const channel = "nixos-unstable";
    const source: Source = { kind: "nixpkgs", url: repository.path, channel };
    for (const tag of ["staging", "v1.0", "nixos-25", "HEAD"]) {
      const found = await resolveTag(source, tagOf(tag), GIT_ENV);
      assert(found.kind === "unknown-tag", tag);
      expect(found.message).toMatch(/the nearest are nixos-.*tags are latest \(nixos-unstable\)/);
      expect(found.message.replace(`no tag "${tag}"`, "")).not.toMatch(/staging/);
    }
  });

  test("is the configured commit itself for latest", async () => {
    const channel = "f".repeat(40);
    const source: Source = { kind: "nixpkgs", url: "/nowhere", channel };
    const found = await resolveTag(source, tagOf("latest"), { PATH: "" });
    assert(found.kind === "pinned");
    expect(found.pin).toBe(channel);
  });
});

test("a source is described without its password, and told apart from every other", () => {
  for (const password of ["password", "p@ssword"]) {
    const url = `https://user:${password}@h.example/r.git`;
    const described = describeSource({ kind: "git", url });
    expect(described).toBe("the git repository https://h.example/r.git");
  }
  const sources: readonly Source[] = [
    { kind: "git", url: "/a" },
    { kind: "git", url: "/b" },
    { kind: "path", path: "/a" },
    { kind: "nixpkgs", url: "/a", channel: "b" },
    { kind: "nixpkgs", url: "/a", channel: "c" },
  ];
  expect(new Set(sources.map(sourceId)).size).toBe(sources.length);
});
