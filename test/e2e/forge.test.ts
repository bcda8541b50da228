// An origin whose package set lies at a forge: what is fetched from there, how, and that nothing is
// once it was.

import { join } from "node:path";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Ending, endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy } from "./deployment.ts";

const atEnd = endOfFile();
let world: World;

async function origin(onEnd: Ending, env: Readonly<Record<string, string>>): Promise<Deployment> {
  const deployment = await deploy({
    launcher: world.launcher,
    env: { ...world.env, NIXPORT_PACK_WORKERS: "1", ...env },
  });
  onEnd(() => deployment.close());
  return deployment;
}

const pinOf = async ({ originUrl }: Deployment, name: string) =>
  (await pullManifest(originUrl, name)).headers.get("Nixport-Pin");

describe("a package set at a forge", { ...skipWhere(missingWorld()), timeout: 120_000 }, () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
  });

  test("gives packages never asked for before while the forge is down, also after a restart", async () => {
    const { forge } = world;
    const commit = forge.commitOf("nixos-unstable");
    const deployment = await origin(onTestFinished, { NIXERY_CHANNEL: "nixos-unstable" });
    const first = await deployment.startOrigin();
    expect(await pinOf(deployment, "htop")).toBe(commit);
    onTestFinished(async () => forge.mend());
    forge.fault(/^/, { kind: "refuse" });
    expect(await pinOf(deployment, "jq")).toBe(commit);
    await first.stop();
    await deployment.startOrigin();
    expect(await pinOf(deployment, "tree")).toBe(commit);
    const archives = forge.requests.filter((each) => each.includes(`/tar.gz/${commit}`));
    expect(archives).toHaveLength(1);
  });

  test("is taken as an archive of a repository too, or else by git, without its history", async () => {
    const { forge } = world;
    const path = join(await temporaryDirectory(onTestFinished), "fork");
    const git = async (...args: readonly string[]) => {
      const result = await world.run(["git", ...args]);
      assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
      return result.stdout.trim();
    };
    await git("clone", "--quiet", "--bare", "https://github.com/NixOS/nixpkgs", path);
    forge.add("us/fork", path);
    const commits = (await git("-C", path, "rev-list", "--all")).split("\n");
    const [one = "", other = ""] = commits;
    expect(other).not.toBe("");
    const deployment = await origin(onTestFinished, {
      NIXERY_PKGS_REPO: "https://github.com/us/fork",
    });
    await deployment.startOrigin();
    const asked = (part: string) => forge.requests.filter((each) => each.includes(part)).length;
    const pull = async (commit: string) => {
      const answer = await get(deployment.originUrl, `/v2/hello/manifests/${commit}`);
      expect(answer.status, await answer.text()).toBe(200);
    };
    await pull(one);
    expect(asked(`/us/fork/tar.gz/${one}`)).toBe(1);
    onTestFinished(async () => forge.mend());
    forge.fault(/\/us\/fork\/(?:archive|tar\.gz)\//, { kind: "missing" });
    const before = asked("POST /us/fork/git-upload-pack");
    await pull(other);
    expect(asked(`/us/fork/tar.gz/${other}`)).toBe(0);
    expect(asked("POST /us/fork/git-upload-pack")).not.toBe(before);
  });
});
