// An origin whose package set lies at a forge: what is fetched from there, how, and that nothing is
// once it was.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, type TestContext, test } from "node:test";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";

const atEnd = endOfFile();
let world: World;

async function origin(t: TestContext, env: Readonly<Record<string, string>>): Promise<Deployment> {
  const deployment = await deploy({
    launcher: world.launcher,
    env: { ...world.env, NIXPORT_PACK_WORKERS: "1", ...env },
  });
  t.after(() => deployment.close());
  return deployment;
}

const pinOf = async ({ originUrl }: Deployment, name: string) =>
  (await pullManifest(originUrl, name)).headers.get("Nixport-Pin");

describe("a package set at a forge", { skip: missingWorld(), timeout: 120_000 }, () => {
  before(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
  });

  test("gives packages never asked for before while the forge is down, also after a restart", async (t) => {
    const { forge } = world;
    const commit = forge.commitOf("nixos-unstable");
    const deployment = await origin(t, { NIXERY_CHANNEL: "nixos-unstable" });
    const first = await deployment.startOrigin();
    assert.equal(await pinOf(deployment, "htop"), commit);
    t.after(async () => forge.mend());
    forge.fault(/^/, { kind: "refuse" });
    assert.equal(await pinOf(deployment, "jq"), commit);
    await first.stop();
    await deployment.startOrigin();
    assert.equal(await pinOf(deployment, "tree"), commit);
    const archives = forge.requests.filter((each) => each.includes(`/tar.gz/${commit}`));
    assert.equal(archives.length, 1);
  });

  test("is taken as an archive of a repository too, or else by git, without its history", async (t) => {
    const { forge } = world;
    const path = join(await temporaryDirectory(t), "fork");
    const git = async (...args: readonly string[]) => {
      const result = await world.run(["git", ...args]);
      assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
      return result.stdout.trim();
    };
    await git("clone", "--quiet", "--bare", "https://github.com/NixOS/nixpkgs", path);
    forge.add("us/fork", path);
    const commits = (await git("-C", path, "rev-list", "--all")).split("\n");
    const [one = "", other = ""] = commits;
    assert.notEqual(other, "");
    const deployment = await origin(t, { NIXERY_PKGS_REPO: "https://github.com/us/fork" });
    await deployment.startOrigin();
    const asked = (part: string) => forge.requests.filter((each) => each.includes(part)).length;
    const pull = async (commit: string) => {
      const answer = await get(deployment.originUrl, `/v2/hello/manifests/${commit}`);
      assert.equal(answer.status, 200, await answer.text());
    };
    await pull(one);
    assert.equal(asked(`/us/fork/tar.gz/${one}`), 1);
    t.after(async () => forge.mend());
    forge.fault(/\/us\/fork\/(?:archive|tar\.gz)\//, { kind: "missing" });
    const before = asked("POST /us/fork/git-upload-pack");
    await pull(other);
    assert.equal(asked(`/us/fork/tar.gz/${other}`), 0);
    assert.notEqual(asked("POST /us/fork/git-upload-pack"), before);
  });
});
