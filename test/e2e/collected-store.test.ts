// Pulls while Nix's own collector runs all the time, in a store of its own: what an origin builds and packs it
// holds by roots, and what went between two steps it has made again.

import { hash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { missingWorld, openWorld, type World } from "../stand-ins/world.ts";
import { get, pullManifest } from "./clients.ts";
import { type Deployment, deploy, type Part } from "./deployment.ts";

const atEnd = endOfFile();
let world: World;
let deployment: Deployment;
let origin: Part;

const NIXPORT = fileURLToPath(new URL("../../origin/command/nixport.ts", import.meta.url));
const CACHED = ["shell/git/htop", "python3packages.numpy", "nodejs", "bash_5"];
const BUILT = "uncached-tool";
const LATER = ["curl", "perl", "jq"];

describe("a store that is collected all the time", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true });
    deployment = await deploy({
      launcher: world.launcher,
      env: { ...world.env, NIXERY_CHANNEL: "nixos-unstable", NIXPORT_PACK_WORKERS: "1" },
    });
    origin = await deployment.startOrigin();
  });
  afterAll(() => deployment?.close());

  /**
   * With every layer. As clients do it asks again after 503: Nix 2.8 loses, rarely, what its collector takes
   * while it fetches, more than once in a row. What is wrong in any other way fails at once.
   */
  async function pullWhole(name: string, triesLeft = 5): Promise<void> {
    const asked = await get(deployment.originUrl, `/v2/${name}/manifests/latest`);
    await asked.body?.cancel();
    if (asked.status === 503 && triesLeft > 0) return pullWhole(name, triesLeft - 1);
    const { layers } = await pullManifest(deployment.originUrl, name);
    for (const { digest } of layers) {
      const response = await get(deployment.originUrl, `/v2/${name}/blobs/${digest}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(`sha256:${hash("sha256", bytes, "hex")}`).toBe(digest);
    }
  }

  test("breaks no pull out of a cache, and no root is left behind", async () => {
    let [runs, freed] = [0, 0];
    const collect = async () => {
      const result = await world.run(["nix-store", "--gc"]);
      // Nix 2.8 gives up where a derivation that it is about to delete is written again just then.
      assert(result.kind === "exited", result.kind);
      runs += 1;
      freed += Number(/^(\d+) store paths? deleted/m.exec(result.stdout)?.[1] ?? 0);
    };
    await beside(collect, async () => {
      for (const name of CACHED) await pullWhole(name);
      // What is built needs many paths for long, and Nix 2.8 loses some of them: tried again later.
      const built = await get(deployment.originUrl, `/v2/${BUILT}/manifests/latest`);
      await built.body?.cancel();
      expect(built.status).toSatisfy((status: number) => status === 200 || status === 503);
    });
    await pullWhole(BUILT);
    await collect();
    expect({ runs, freed }).toStrictEqual({
      runs: expect.toSatisfy((count: number) => count > CACHED.length),
      freed: expect.toSatisfy((count: number) => count > 20),
    });
    expect(await readdir(join(deployment.statePath, "gcroots"))).toStrictEqual([]);
  });

  test("breaks none when it is the command that has it collected, and keeps the package set", async () => {
    const env = { NIXPORT_STATE: deployment.statePath, NIXERY_CHANNEL: "nixos-unstable" };
    const said: string[] = [];
    const gc = async (...args: readonly string[]): Promise<string> => {
      const result = await world.run([process.execPath, NIXPORT, "gc", "--store", ...args], env);
      assert(result.kind === "exited", result.kind);
      // Nix 2.8 gives up where a derivation that it is about to delete is written again just then.
      assert(result.code === 0 || /Nix's collector failed/.test(result.stderr), result.stderr);
      const [, store = ""] = /^store: (.*)$/m.exec(result.stdout) ?? [];
      said.push(store);
      return store;
    };
    await beside(gc, async () => {
      for (const name of LATER) await pullWhole(name);
    });
    await gc();
    expect(said.some((store) => /^[1-9]\d* store paths? deleted/.test(store))).toBe(true);
    expect(await gc("--dry-run")).toBe("0 store paths would go");
    // A new name needs the files of the set again, which no forge is asked for.
    await pullWhole("tree");
    expect(origin.log.filter(({ msg }) => msg === "fetching the package set")).toHaveLength(1);
  });
});

/** Does one thing over and over while another is under way; fails with either. */
async function beside(over: () => Promise<unknown>, work: () => Promise<void>): Promise<void> {
  let isDone = false;
  const repeating = (async () => {
    while (!isDone) await over();
  })();
  const working = work().finally(() => {
    isDone = true;
  });
  const [worked, repeated] = await Promise.allSettled([working, repeating]);
  for (const each of [worked, repeated]) if (each.status === "rejected") throw each.reason;
}
