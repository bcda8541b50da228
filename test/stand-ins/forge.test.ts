import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { createRepository } from "../origin/sources/git-repository.ts";
import type { Fault } from "./faults.ts";
import { missingWorld, openWorld, succeed, type World } from "./world.ts";

const URL_OF_NIXPKGS = "https://github.com/NixOS/nixpkgs";

const atEnd = endOfFile();
let world: World;

const said = (command: readonly string[]) => succeed(world, command);
/** An expression in which `tree` is nixpkgs at a commit. */
const evaluate = (commit: string, expression: string) => [
  ...["nix-instantiate", "--eval", "--option", "download-attempts", "1", "--expr"],
  `let tree = fetchTarball "${URL_OF_NIXPKGS}/archive/${commit}.tar.gz"; in ${expression}`,
];

describe("the forge", { skip: missingWorld() }, () => {
  before(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true, packages: 0 });
  });

  test("lists its branches to git", async () => {
    const listed = await said(["git", "ls-remote", "--heads", URL_OF_NIXPKGS]);
    const branches = listed.split("\n").map((line) => line.split("\t"));
    assert.deepEqual(
      branches,
      ["master", "nixos-25.11", "nixos-unstable"].map((name) => [
        world.forge.commitOf(name),
        `refs/heads/${name}`,
      ]),
    );
  });

  test("gives git any commit, and nothing of its history where none is wanted", async () => {
    const commit = world.forge.commitOf("nixos-25.11");
    const script = `cd "$(mktemp -d)" && git init --quiet . &&
      git fetch --quiet --depth 1 ${URL_OF_NIXPKGS} ${commit} && git rev-list --count FETCH_HEAD`;
    assert.equal(await said(["sh", "-c", script]), "1");
    const later = await world.forge.move("nixos-25.11", ["tree"]);
    assert.equal(await said(["sh", "-c", script.replace(commit, later)]), "1");
  });

  test("gives Nix an archive of a commit, by way of another host", async () => {
    const commit = world.forge.commitOf("nixos-unstable");
    const seen = world.forge.requests.length;
    assert.equal(await said(evaluate(commit, "(import tree { }).htop.name")), '"htop-3.4.1.1"');
    assert.deepEqual(world.forge.requests.slice(seen), [
      `GET /NixOS/nixpkgs/archive/${commit}.tar.gz`,
      `GET /NixOS/nixpkgs/tar.gz/${commit}`,
    ]);
  });

  test("gives Nix a flake by a branch", async () => {
    const features = ["--extra-experimental-features", "nix-command flakes"];
    const name = await said(["nix", ...features, "eval", "github:NixOS/nixpkgs/master#hello.name"]);
    assert.equal(name, '"hello-2.12.2.1"');
  });

  test("moves a branch to a revision in which what is named is newer", async () => {
    const before = world.forge.commitOf("nixos-unstable");
    const moved = await world.forge.move("nixos-unstable", ["git", "tree"]);
    assert.equal(world.forge.commitOf("nixos-unstable"), moved);
    assert.equal(world.forge.commitOf("master"), before);
    const names = "let p = import tree { }; in toString [ p.git.name p.tree.name p.htop.name ]";
    assert.equal(await said(evaluate(moved, names)), '"git-2.51.2.1 tree-2.2.1.1 htop-3.4.1.1"');
  });

  test("serves other repositories beside it", async (t) => {
    const fork = await createRepository(t);
    const commit = await fork.commit("{ }");
    world.forge.add("somebody/nixpkgs", fork.path);
    const listed = await said(["git", "ls-remote", "https://github.com/somebody/nixpkgs.git"]);
    assert.match(listed, new RegExp(`^${commit}\tHEAD`));
  });

  const faults: readonly [fault: Fault, says: RegExp][] = [
    [{ kind: "status", status: 500 }, /HTTP error 500/],
    [{ kind: "missing" }, /HTTP error 404/],
    [{ kind: "cut", afterBytes: 2000 }, /Transferred a partial file/],
    [{ kind: "corrupt" }, /archive|decompress|truncated|data/i],
    [{ kind: "refuse" }, /[Cc]ouldn't connect|[Ff]ailed to connect/],
  ];
  for (const [fault, says] of faults) {
    test(`has a download of Nix fail by ${fault.kind}, and no longer when it is mended`, async (t) => {
      const asking = evaluate(
        await world.forge.move("nixos-unstable", ["hello"]),
        "(import tree { }).hello.name",
      );
      world.forge.fault(/tar\.gz\//, fault);
      const failed = await world.run(asking);
      world.forge.mend();
      assert(failed.kind === "exited" && failed.code !== 0, JSON.stringify(failed));
      assert.match(failed.stderr, says);
      // Nix 2.8 keeps an archive that does not unpack: by its ETag it is the right one.
      const again = await world.run(asking, { XDG_CACHE_HOME: await temporaryDirectory(t) });
      assert(again.kind === "exited" && again.code === 0, JSON.stringify(again));
    });
  }

  test("does not know what there is not", async () => {
    const unknown = await world.run(evaluate("0".repeat(40), "tree"));
    assert(unknown.kind === "exited");
    assert.match(unknown.stderr, /HTTP error 404/);
  });
});
