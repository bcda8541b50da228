// Tags to pins: what each kind of source takes a tag for, asked of real repositories.

import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { askRemote } from "../../../origin/sources/git-remote.ts";
import { resolveTag } from "../../../origin/sources/resolve.ts";
import { describeSource, type Source, sourceId } from "../../../origin/sources/source.ts";
import { tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { createRepository, GIT_ENV } from "./git-repository.ts";

const limit = { timeout: 30_000 };

describe("a tag of a git repository", limit, () => {
  test("is a branch, a git tag of either kind, or the default branch", async (t) => {
    const repository = await createRepository(t);
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
      assert.deepEqual(await resolveTag(source, tagOf(tag), GIT_ENV), {
        ...{ kind: "pinned", pin: commit, immutable: false },
        source: { kind: "git", url: repository.path, commit, ref },
      });
    }
  });

  test("is the branch where a git tag has the same name", async (t) => {
    const repository = await createRepository(t);
    await repository.commit("1");
    repository.git("tag", "both");
    const second = await repository.commit("2");
    repository.git("branch", "both");
    const source: Source = { kind: "git", url: `file://${repository.path}` };
    const found = await resolveTag(source, tagOf("both"), GIT_ENV);
    assert(found.kind === "pinned");
    assert.equal(found.pin, second);
  });

  test("is a full commit, for ever, without asking anyone", async () => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const source: Source = { kind: "git", url: "/nowhere" };
    assert.deepEqual(await resolveTag(source, tagOf(commit), { PATH: "" }), {
      ...{ kind: "pinned", pin: commit, immutable: true },
      source: { kind: "git", url: "/nowhere", commit },
    });
  });

  for (const tag of ["absent", "v1.2.3", "ain", "0123456789abcdef"]) {
    test(`is unknown when it is ${tag}, and the answer says which there are`, async (t) => {
      const repository = await createRepository(t);
      await repository.commit("1");
      const source: Source = { kind: "git", url: repository.path };
      const found = await resolveTag(source, tagOf(tag), GIT_ENV);
      assert(found.kind === "unknown-tag", JSON.stringify(found));
      assert.match(found.message, new RegExp(`no tag "${tag}": tags are latest .* commit$`));
    });
  }

  test("cannot be told when the remote is gone, and the answer says why", async (t) => {
    const gone = join(await temporaryDirectory(t), "gone");
    for (const [url, why] of [
      [gone, /does not appear to be a git repository/],
      ["http://127.0.0.1:9/x", /127\.0\.0\.1/],
    ] as const) {
      const found = await resolveTag({ kind: "git", url }, tagOf("latest"), GIT_ENV);
      assert(found.kind === "unreachable");
      assert.match(found.message, why);
      assert(!found.message.includes(gone), "it names a folder of this host");
    }
  });

  test("cannot be told without git", async (t) => {
    const found = await askRemote("/x", "HEAD", { PATH: await temporaryDirectory(t) });
    assert.deepEqual(found, { kind: "unreachable", message: "git did not answer" });
  });

  test("does not exist in an empty repository", async (t) => {
    const { path } = await createRepository(t);
    const found = await resolveTag({ kind: "git", url: path }, tagOf("latest"), GIT_ENV);
    assert.equal(found.kind, "unknown-tag");
  });
});

describe("a tag of nixpkgs", limit, () => {
  test("is a channel, a commit, or latest for the configured one", async (t) => {
    const repository = await createRepository(t);
    const commit = await repository.commit("1");
    for (const branch of ["nixos-unstable", "nixos-25.11", "release-25.11", "my-branch"]) {
      repository.git("branch", branch);
    }
    const url = repository.path;
    const source: Source = { kind: "nixpkgs", url, channel: "my-branch" };
    for (const tag of ["latest", "nixos-unstable", "nixos-25.11", "release-25.11"]) {
      assert.deepEqual(await resolveTag(source, tagOf(tag), GIT_ENV), {
        ...{ kind: "pinned", pin: commit, immutable: false },
        source: { kind: "nixpkgs", url, commit },
      });
    }
    const byCommit = await resolveTag(source, tagOf(commit), { PATH: "" });
    assert(byCommit.kind === "pinned" && byCommit.immutable);
    const absent = await resolveTag(source, tagOf("nixos-19.03"), GIT_ENV);
    assert.equal(absent.kind, "unknown-tag");
  });

  test("that no channel can have starts no look-up", async () => {
    const source: Source = { kind: "nixpkgs", url: "/nowhere", channel: "nixos-unstable" };
    for (const tag of ["my-branch", "v1.0", "nixos-25", "HEAD", "staging"]) {
      const found = await resolveTag(source, tagOf(tag), { PATH: "" });
      assert(found.kind === "unknown-tag", tag);
      assert.match(found.message, /latest \(nixos-unstable\)/);
    }
  });

  test("is the configured commit itself for latest", async () => {
    const channel = "f".repeat(40);
    const source: Source = { kind: "nixpkgs", url: "/nowhere", channel };
    const found = await resolveTag(source, tagOf("latest"), { PATH: "" });
    assert(found.kind === "pinned");
    assert.equal(found.pin, channel);
  });
});

describe("a tag of a local path", limit, () => {
  test("is latest only, pinned by what the path holds and by where it really is", async (t) => {
    const folder = await temporaryDirectory(t);
    await mkdir(join(folder, "real"));
    await writeFile(join(folder, "real/default.nix"), "{ }");
    await symlink("real", join(folder, "link"));
    const source: Source = { kind: "path", path: join(folder, "link") };
    const found = await resolveTag(source, tagOf("latest"), {});
    assert(found.kind === "pinned" && found.source.kind === "path");
    assert.equal(found.source.path, join(folder, "real"));
    const hex = Buffer.from(found.source.narHash.replace("sha256-", ""), "base64").toString("hex");
    assert.equal(found.pin, `path-${hex}`);
    assert.equal(found.immutable, false);
    assert.equal((await resolveTag(source, tagOf("main"), {})).kind, "unknown-tag");
    await writeFile(join(folder, "real/default.nix"), "{ a = 1; }");
    const changed = await resolveTag(source, tagOf("latest"), {});
    assert(changed.kind === "pinned");
    assert.notEqual(changed.pin, found.pin);
  });

  test("cannot be told when the path is gone", async (t) => {
    const path = join(await temporaryDirectory(t), "gone");
    assert.equal(
      (await resolveTag({ kind: "path", path }, tagOf("latest"), {})).kind,
      "unreachable",
    );
  });
});

test("a source is described without its password, and told apart from every other", () => {
  const url = "https://user:password@h.example/r.git";
  assert.equal(describeSource({ kind: "git", url }), "the git repository https://h.example/r.git");
  const sources: readonly Source[] = [
    { kind: "git", url: "/a" },
    { kind: "git", url: "/b" },
    { kind: "path", path: "/a" },
    { kind: "nixpkgs", url: "/a", channel: "b" },
    { kind: "nixpkgs", url: "/a", channel: "c" },
  ];
  assert.equal(new Set(sources.map(sourceId)).size, sources.length);
});
