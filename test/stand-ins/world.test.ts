import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import { endOfFile } from "../origin/fixture.ts";
import { obeyIn } from "./control.ts";
import { missingWorld, openWorld, succeed } from "./world.ts";

const atEnd = endOfFile();
const options = { minver: "2.8", packages: 0 };
const NO_TEST = { after: () => undefined };

describe("a world", { skip: missingWorld() }, () => {
  test("is another one for each who opens it", async () => {
    const [one, other] = [
      await openWorld(atEnd, { ...options, ownStore: true }),
      await openWorld(atEnd, { ...options, ownStore: true }),
    ];
    const head = ["git", "ls-remote", "https://github.com/NixOS/nixpkgs", "nixos-unstable"];
    const moved = await one.forge.move("nixos-unstable");
    assert.match(await succeed(one, head), new RegExp(moved));
    assert.match(await succeed(other, head), new RegExp(other.forge.commitOf("nixos-unstable")));
    await succeed(one, ["sh", "-c", "mkdir /nix/store && echo one > /nix/store/mine"]);
    assert.equal(await succeed(other, ["ls", "/nix"]), "");
    assert(!existsSync("/nix/store/mine"));
  });

  test("leaves nothing behind", async () => {
    const world = await openWorld(NO_TEST, { ...options, ownStore: true });
    await succeed(world, ["nix-store", "--realise", ...(await world.cache.find("tree-2.2.1"))]);
    await world.close();
    assert(!existsSync(dirname(world.hostsFile)));
    await assert.rejects(fetch(`${world.cache.url}/nix-cache-info`));
  });

  test("says which revision a channel is, and what it holds", async () => {
    const world = await openWorld(atEnd, options);
    const get = (file: string) =>
      succeed(world, ["sh", "-c", `curl -sSfL https://channels.nixos.org/nixos-unstable/${file}`]);
    assert.equal(await get("git-revision"), world.forge.commitOf("nixos-unstable"));
    const paths = (await get("store-paths.xz | xz --decompress")).split("\n");
    const [htop = ""] = await world.cache.find("htop-3.4.1.1");
    assert(paths.includes(htop));
  });

  test("takes a request that it never answers", async () => {
    const world = await openWorld(atEnd, options);
    world.cache.fault(/cache-info/, { kind: "hang" });
    const leaving = new AbortController();
    const asking = fetch(`${world.cache.url}/nix-cache-info`, { signal: leaving.signal });
    await world.cache.untilAsked(/cache-info/);
    leaving.abort();
    await assert.rejects(asking, { name: "AbortError" });
  });

  test("does what a person tells it", async () => {
    const world = await openWorld(atEnd, options);
    const obey = obeyIn(world);
    const ask = async () => (await fetch(`${world.cache.url}/nix-cache-info`)).status;
    assert.equal(await obey("cache cache-info status 503 x1"), "cache-info: status 503\n");
    assert.deepEqual([await ask(), await ask()], [503, 200]);
    await obey("cache . status 500");
    assert.equal(await ask(), 500);
    assert.equal(await obey("mend"), "mended\n");
    assert.equal(await ask(), 200);
    assert.equal(await obey("requests"), "cache GET /nix-cache-info\n".repeat(4));
    assert.equal(await obey("requests"), "");
    const moved = await obey("move nixos-unstable");
    assert.equal(moved, `nixos-unstable is now ${world.forge.commitOf("nixos-unstable")}\n`);
    for (const line of ["", "cache", "cache . sleep", "mirror . hang"]) {
      assert.match(await obey(line), /forge\|cache\|channels PATTERN FAULT/);
    }
  });
});
