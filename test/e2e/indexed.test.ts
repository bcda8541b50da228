// What an index changes of a pull, in nixpkgs' shape: a name that nobody has asked for is found without an
// evaluation, and its paths are fetched without its derivation.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const atEnd = endOfFile();
let world: World;
let deployment: Deployment;
let origin: Part;

describe("an origin with an index of nixpkgs", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
    deployment = await deploy({
      launcher: world.launcher,
      env: {
        ...{ ...world.env, NIXERY_CHANNEL: "nixos-unstable", NIXPORT_PACK_WORKERS: "1" },
        ...{ NIXPORT_INDEX: "on", NIXPORT_PIN_FRESH: "1" },
        NIXPORT_INDEX_SETS: "linuxPackages_latest",
      },
    });
    origin = await deployment.startOrigin();
    await origin.waitFor(({ msg }) => msg === "indexed");
  });
  afterAll(() => deployment?.close());

  const evaluations = () =>
    origin.log.filter(({ msg, program }) => msg === "started" && program === "nix-instantiate");

  test("evaluates nothing for a first pull of packages that a cache has", async () => {
    const before = evaluations().length;
    const names = "shell/git/htop/python3packages.numpy/linuxpackages.perf";
    const { layers } = await pullManifest(deployment.originUrl, names);
    expect(layers.length).toBeGreaterThan(4);
    expect(evaluations().slice(before)).toStrictEqual([]);
  });

  test("evaluates what must be built, once", async () => {
    const before = evaluations().length;
    await pullManifest(deployment.originUrl, "uncached-tool");
    expect(evaluations().length - before).toBe(1);
  });

  test("says of a name that there is not which are near, and why others cannot be had", async () => {
    const before = evaluations().length;
    const said = async (name: string) =>
      await (await get(deployment.originUrl, `/v2/${name}/manifests/latest`)).text();
    expect(await said("htpo")).toContain("htop");
    expect(await said("python3packages.nmpy")).toContain("python3packages.numpy");
    expect(await said("linuxpackages_latest.pref")).toContain("linuxpackages_latest.perf");
    expect(await said("unfree-tool")).toContain("has an unfree licence");
    expect(await said("aborting-tool")).toContain("cannot be called");
    expect(evaluations().slice(before)).toStrictEqual([]);
  });

  test("has one of the revision that the channel moves to", async () => {
    await world.forge.move("nixos-unstable", ["htop"]);
    await world.cache.find("");
    const isOfNew = ({ msg, pin }: Part["log"][number]) =>
      msg === "indexed" && pin === world.forge.commitOf("nixos-unstable");
    await expect
      .poll(
        async () => {
          await get(deployment.originUrl, "/v2/htop/manifests/latest");
          return origin.log.some(isOfNew);
        },
        { timeout: 100_000, interval: 500 },
      )
      .toBe(true);
  });
});
