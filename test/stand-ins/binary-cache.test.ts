import { readFileSync } from "node:fs";
import { assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import type { Fault } from "./faults.ts";
import { file, folderOf } from "./nar.ts";
import { CACHE_MARKER } from "./shelf.ts";
import { missingWorld, openWorld, succeed, type World } from "./world.ts";

const ADDED = "/nix/store/x30lnlgk1s16rynrfslbf8phr6h6rqf2-nix-2.31.2";

const atEnd = endOfFile();
let world: World;

const said = (command: readonly string[]) => succeed(world, command);
const realise = (path: string) => [
  ...["nix-store", "--realise", path, "--option", "stalled-download-timeout", "1"],
  ...["--option", "download-attempts", "1"],
];

async function pathOf(name: string): Promise<string> {
  const paths = await world.cache.find(name);
  const [path, ...others] = paths.filter((each) => each.endsWith(`-${name}`));
  assert(path !== undefined && others.length === 0, `${name}: ${paths}`);
  return path;
}

describe("the binary cache", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true, packages: 0 });
    await said(realise(await pathOf("glibc-2.40-66")));
  });

  test("gives Nix what it has, signed, with all that it refers to", async () => {
    const path = await pathOf("htop-3.4.1.1");
    await said(realise(path));
    expect(await said(["cat", `${path}/nix-support/made`])).toBe(CACHE_MARKER);
    const references = await said(["nix-store", "--query", "--references", path]);
    const names = references.split("\n").map((each) => each.slice(44));
    expect(names.sort()).toStrictEqual([
      ...["glibc-2.40-66", "htop-3.4.1.1", "libcap-2.77-lib", "libnl-3.11.0", "ncurses-6.5"],
    ]);
    await said(["nix-store", "--verify-path", path]);
  });

  test("answers without TLS as well", async () => {
    const response = await fetch(`${world.cache.url}/nix-cache-info`);
    expect(await response.text()).toMatch(/^StoreDir: \/nix\/store$/m);
  });

  test("gives the rest of a NAR to whoever goes on", async () => {
    const path = await pathOf("less-685");
    const narinfo = await (await fetch(`${world.cache.url}/${path.slice(11, 43)}.narinfo`)).text();
    const url = `${world.cache.url}/${/^URL: (.+)$/m.exec(narinfo)?.[1]}`;
    const whole = Buffer.from(await (await fetch(url)).arrayBuffer());
    const rest = await fetch(url, { headers: { Range: "bytes=100-" } });
    expect(rest.status).toBe(206);
    expect(Buffer.from(await rest.arrayBuffer())).toStrictEqual(whole.subarray(100));
  });

  test("serves what was put there", async () => {
    world.cache.add(ADDED, folderOf({ "bin/nix": file("#!/bin/sh\n", true) }), [
      await pathOf("glibc-2.40-66"),
    ]);
    await said(realise(ADDED));
    expect(await said(["cat", `${ADDED}/bin/nix`])).toBe("#!/bin/sh");
  });

  test("has nothing of what is refused, built on the spot or new", async () => {
    for (const name of ["unfree-tool", "broken-tool", "hello-wrapped", "uncached-tool"]) {
      expect(await world.cache.find(name), name).toStrictEqual([]);
    }
  });

  const faults: readonly [name: string, file: "narinfo" | "nar", fault: Fault, says: RegExp][] = [
    ["tree-2.2.1", "narinfo", { kind: "status", status: 500 }, /HTTP error 500/],
    ["which-2.23", "nar", { kind: "status", status: 500 }, /HTTP error 500/],
    ["strace-6.17", "nar", { kind: "cut", afterBytes: 100 }, /Transferred a partial file/],
    [
      "gnused-4.9",
      "nar",
      { kind: "corrupt" },
      /hash mismatch|[Dd]ecompress|[Dd]ata corruption|NAR/,
    ],
    ["findutils-4.10.0", "nar", { kind: "missing" }, /does not exist in binary cache/],
    ["diffutils-3.12", "narinfo", { kind: "bad-signature" }, /not signed by any of the keys/],
    ["gzip-1.14", "narinfo", { kind: "hang" }, /[Tt]imeout was reached/],
    ["file-5.45", "narinfo", { kind: "refuse" }, /[Cc]ouldn't connect|[Ff]ailed to connect/],
  ];
  for (const [name, asked, fault, says] of faults) {
    test(`has Nix fail by ${fault.kind} of a ${asked}, and no longer when it is mended`, async () => {
      const path = await pathOf(name);
      world.cache.fault(new RegExp(`${asked === "nar" ? "^/nar/" : "narinfo"}.* ${name}$`), fault);
      const failed = await world.run(realise(path));
      world.cache.mend();
      assert(failed.kind === "exited" && failed.code !== 0, JSON.stringify(failed));
      expect(failed.stderr).toMatch(says);
      // Nix remembers a narinfo that was signed wrongly, and the fault was in that.
      await said([...realise(path), "--option", "narinfo-cache-positive-ttl", "0"]);
    });
  }

  test("sends slowly when it is told to", async () => {
    const path = await pathOf("gnugrep-3.12");
    world.cache.fault(/^\/nar\/.* gnugrep-3\.12$/, { kind: "slow", bytesPerSecond: 1000 });
    const startedMs = performance.now();
    await said(realise(path));
    world.cache.mend();
    expect(performance.now() - startedMs).toBeGreaterThan(100);
  });
});

test("a launcher of a world changes nothing for anybody else", () => {
  expect(readFileSync("/etc/hosts", "utf8")).not.toContain("cache.nixos.org");
});
