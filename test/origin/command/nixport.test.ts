// The command line as a process: help, wrong usage, and each command's way from arguments to a file.

import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parsePopularity } from "../../../origin/layers/popularity.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { serveCache } from "../popularity/cache.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));

type Child = ChildProcessByStdio<null, Readable, Readable>;

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  return spawn(process.execPath, [COMMAND, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function ended(child: Child) {
  const [[code], stdout, stderr] = await Promise.all([
    once(child, "exit"),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code: code as number | null, stdout, stderr };
}

describe("nixport", { timeout: 60_000 }, () => {
  const usage: readonly [args: readonly string[], code: number, stdout: RegExp, stderr: RegExp][] =
    [
      [["--help"], 0, /^usage: npm run nixport -- <command>[\s\S]* popularity /, /^$/],
      [["popularity", "--help"], 0, /^usage: npm run nixport -- popularity/, /^$/],
      [["popularity", "--cache", "x", "-h"], 0, /^usage: npm run nixport -- popularity/, /^$/],
      [[], 2, /^$/, /^nixport: a command is missing\nusage: /],
      [["polularity"], 2, /^$/, /^nixport: no command "polularity"\nusage: /],
      [["constructor"], 2, /^$/, /^nixport: no command "constructor"\nusage: /],
      [["popularity", "--chache", "x"], 2, /^$/, /^nixport: Unknown option '--chache'/],
      [["popularity", "x"], 2, /^$/, /^nixport: Unexpected argument 'x'/],
      [["popularity", "--out"], 2, /^$/, /^nixport: Option '--out <value>' argument missing/],
      [
        ["popularity", "--store-paths", "x", "--cache", "file:///"],
        2,
        /^$/,
        /^nixport: --cache is /,
      ],
      [
        ["popularity", "--store-paths", "x", "--concurrency", "0"],
        2,
        /^$/,
        /^nixport: --concurrency is "0"/,
      ],
      [
        ["popularity", "--store-paths", "/nowhere/list"],
        1,
        /^$/,
        /^nixport: ENOENT: no such file or directory, open '\/nowhere\/list'\n$/,
      ],
    ];
  for (const [args, code, stdout, stderr] of usage) {
    test(`${args.join(" ") || "without arguments"} ends with ${code}`, async () => {
      const result = await ended(start(args));
      assert.match(result.stdout, stdout);
      assert.match(result.stderr, stderr);
      assert.equal(result.code, code);
    });
  }

  test("popularity writes what the origin reads, to a file or to standard output", async (t) => {
    const statePath = await temporaryDirectory(t);
    const cache = await serveCache(t, { "htop-3": ["glibc-2"], "git-2": ["glibc-2", "gone-1"] });
    const list = join(statePath, "store-paths");
    await writeFile(list, `${storePathOf("htop-3")}\n${storePathOf("git-2")}\n`);
    const args = ["popularity", "--store-paths", list, "--cache", cache.url];
    const env = { NIXPORT_STATE: statePath };

    const out = join(statePath, "popularity.json");
    const toFile = await ended(start([...args, "--out", out], env));
    assert.equal(toFile.code, 0, toFile.stderr);
    assert.equal(
      toFile.stderr,
      "references of 2 of 4 store paths (2 not in the cache, left out): 1 packages\n",
    );
    assert.equal(toFile.stdout, "");
    const written = await readFile(out, "utf8");
    assert.deepEqual(JSON.parse(written), { "references of": 2, glibc: 2 });
    assert.equal(parsePopularity(written).kind, "popularity");

    cache.asked.length = 0;
    const toStdout = await ended(start(args, env));
    assert.equal(toStdout.stdout, written);
    assert.deepEqual(cache.asked, []);
  });

  test("popularity stops at SIGINT and keeps what it has read", async (t) => {
    const statePath = await temporaryDirectory(t);
    const hanging = Promise.withResolvers<void>();
    const cache = await serveCache(
      t,
      { "htop-3": ["glibc-2"], "git-2": ["glibc-2"], "glibc-2": [] },
      { "git-2": { times: 1, answer: () => hanging.resolve() } },
    );
    const list = join(statePath, "store-paths");
    await writeFile(list, `${storePathOf("htop-3")}\n${storePathOf("git-2")}\n`);
    const args = ["popularity", "--store-paths", list, "--cache", cache.url, "--concurrency", "1"];
    const child = start(args, { NIXPORT_STATE: statePath });
    const stopped = ended(child);
    await hanging.promise;
    child.kill("SIGINT");
    assert.deepEqual(await stopped, { code: 130, stdout: "", stderr: "nixport: stopped\n" });

    cache.asked.length = 0;
    const again = await ended(start(args, { NIXPORT_STATE: statePath }));
    assert.deepEqual(JSON.parse(again.stdout), { "references of": 3, glibc: 2 });
    assert(!cache.asked.includes("htop-3"));
  });
});
