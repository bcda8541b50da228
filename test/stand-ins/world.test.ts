import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { obeyIn } from "./control.ts";
import { missingWorld, openWorld, succeed } from "./world.ts";

const atEnd = endOfFile();
const options = { minver: "2.8", packages: 0 };
const NO_TEST = () => undefined;

describe("a world", skipWhere(missingWorld()), () => {
  test("is another one for each who opens it", async () => {
    const [one, other] = [
      await openWorld(atEnd, { ...options, ownStore: true }),
      await openWorld(atEnd, { ...options, ownStore: true }),
    ];
    const head = ["git", "ls-remote", "https://github.com/NixOS/nixpkgs", "nixos-unstable"];
    const moved = await one.forge.move("nixos-unstable");
    expect(await succeed(one, head)).toMatch(new RegExp(moved));
    expect(await succeed(other, head)).toMatch(new RegExp(other.forge.commitOf("nixos-unstable")));
    await succeed(one, ["sh", "-c", "mkdir /nix/store && echo one > /nix/store/mine"]);
    expect(await succeed(other, ["ls", "/nix"])).toBe("");
    expect(existsSync("/nix/store/mine")).toBe(false);
  });

  test("leaves nothing behind", async () => {
    const world = await openWorld(NO_TEST, { ...options, ownStore: true });
    await succeed(world, ["nix-store", "--realise", ...(await world.cache.find("tree-2.2.1"))]);
    await world.close();
    expect(existsSync(dirname(world.hostsFile))).toBe(false);
    await expect(fetch(`${world.cache.url}/nix-cache-info`)).rejects.toThrow();
  });

  test("says which revision a channel is, and what it holds", async () => {
    const world = await openWorld(atEnd, options);
    const get = (file: string) =>
      succeed(world, ["sh", "-c", `curl -sSfL https://channels.nixos.org/nixos-unstable/${file}`]);
    expect(await get("git-revision")).toBe(world.forge.commitOf("nixos-unstable"));
    const paths = (await get("store-paths.xz | xz --decompress")).split("\n");
    const [htop = ""] = await world.cache.find("htop-3.4.1.1");
    expect(paths).toContain(htop);
  });

  test("takes a request that it never answers", async () => {
    const world = await openWorld(atEnd, options);
    world.cache.fault(/cache-info/, { kind: "hang" });
    const leaving = new AbortController();
    const asking = fetch(`${world.cache.url}/nix-cache-info`, { signal: leaving.signal });
    await world.cache.untilAsked(/cache-info/);
    leaving.abort();
    await expect(asking).rejects.toMatchObject({ name: "AbortError" });
  });

  test("does what a person tells it", async () => {
    const world = await openWorld(atEnd, options);
    const obey = obeyIn(world);
    const ask = async () => (await fetch(`${world.cache.url}/nix-cache-info`)).status;
    expect(await obey("cache cache-info status 503 x1")).toBe("cache-info: status 503\n");
    expect([await ask(), await ask()]).toStrictEqual([503, 200]);
    await obey("cache . status 500");
    expect(await ask()).toBe(500);
    expect(await obey("mend")).toBe("mended\n");
    expect(await ask()).toBe(200);
    expect(await obey("requests")).toBe("cache GET /nix-cache-info\n".repeat(4));
    expect(await obey("requests")).toBe("");
    const moved = await obey("move nixos-unstable");
    expect(moved).toBe(`nixos-unstable is now ${world.forge.commitOf("nixos-unstable")}\n`);
    for (const line of ["", "cache", "cache . sleep", "mirror . hang"]) {
      expect(await obey(line)).toMatch(/forge\|cache\|channels PATTERN FAULT/);
    }
  });
});
