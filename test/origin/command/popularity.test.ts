// `nixport popularity` as a process: from a list or a package set to the file that the origin
// reads.

import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { parsePopularity } from "../../../origin/layers/popularity.ts";
import { listPackages } from "../../../origin/popularity/package-set.ts";
import { storePathName } from "../../../registry/naming/store-path.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";
import { derivation, pinPath, SYSTEM, testNix, untilEnded } from "../nix/fixture.ts";
import { hidesHost, SHELL_BUILDER } from "../nix/sandbox-shell.ts";
import { type Fault, type Graph, serveCache } from "../popularity/cache.ts";
import { startGitServer } from "../sources/git-server.ts";
import { ended, start } from "./command.ts";

/** The number in a file, as soon as there is one. */
async function readOnce(file: string, ended: Promise<unknown>): Promise<number> {
  const limits = { over: false };
  void ended.then(() => {
    limits.over = true;
  });
  for (const deadlineMs = Date.now() + 30_000; !limits.over && Date.now() < deadlineMs; ) {
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) return Number(text);
    await setTimeout(20);
  }
  throw new Error(`${file} was not written`);
}

describe("nixport popularity of a list", { timeout: 60_000 }, () => {
  test("writes what the origin reads, to a file or to standard output", async (t) => {
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

  test("writes nothing where the cache has none of the list", async (t) => {
    const statePath = await temporaryDirectory(t);
    const cache = await serveCache(t, {});
    const list = join(statePath, "store-paths");
    await writeFile(list, `${storePathOf("htop-3")}\n`);
    const args = ["popularity", "--store-paths", list, "--cache", cache.url];
    const result = await ended(start(args, { NIXPORT_STATE: statePath }));
    const stderr = `nixport: ${cache.url} has none of 1 store paths\n`;
    assert.deepEqual(result, { code: 1, stdout: "", stderr });
  });

  test("stops at SIGINT and keeps what it has read", async (t) => {
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

describe("nixport popularity of a package set", { timeout: 120_000 }, () => {
  /** `salt` makes everything build anew. Nothing refers to the tool once it is built. */
  const expression = (salt: string) => `let
    make = name: script: inputs: derivation ({
      inherit name; system = "${SYSTEM}"; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${salt}"; args = [ "-c" script ];
    } // inputs);
    library = make "library-1.0" "echo library > $out" { };
    tool = make "tool-1.0" "echo $library > $out" { inherit library; };
    program = name: make "\${name}-1.0" "echo $library > $out" { inherit library tool; };
  in { one = program "one"; two = program "two"; three = program "three";
    failing = make "failing-1.0" "exit 1" { inherit library; }; missing = throw "renamed"; }`;

  async function plant(t: TestContext) {
    const path = await temporaryDirectory(t);
    await writeFile(join(path, "default.nix"), expression(path));
    const statePath = await temporaryDirectory(t);
    const env = {
      ...{ NIXERY_PKGS_PATH: path, NIXPORT_STATE: statePath, HOME: statePath },
      NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\n",
    };
    const run = async (...args: readonly string[]) =>
      await ended(start(["popularity", ...args], env));
    return { path, env, run };
  }

  test("counts the derivations before anything is realised", async (t) => {
    const { run } = await plant(t);
    const { code, stdout, stderr } = await run("--derivations");
    assert.equal(stderr, "derivations of 4 of 4 packages (1 other attributes): 2 packages\n");
    assert.deepEqual(JSON.parse(stdout), { "derivations of": 4, library: 4, tool: 3 });
    assert.equal(code, 0);
  });

  test("counts closures once they are realised, and says what is not", async (t) => {
    const { run, env } = await plant(t);
    const roots = join(env.NIXPORT_STATE, "popularity-roots");
    await mkdir(join(roots, "held-by-a-killed-run"), { recursive: true });
    const before = await run();
    assert.match(before.stderr, /^nixport: none of 4 packages is known: --realise builds them/);
    assert.equal(before.code, 1);
    const realised = await run("--realise");
    assert.match(realised.stderr, /^1 packages could not be realised\nclosures of 3 of 4 packages/);
    assert.deepEqual(JSON.parse(realised.stdout), { "closures of": 3, library: 3 });
    assert.deepEqual(await readdir(roots), []);
    const later = await run();
    assert.equal(later.stdout, realised.stdout);
  });

  test("stops at SIGINT while it builds, and the builder with it", {
    skip: hidesHost,
  }, async (t) => {
    const { path, env } = await plant(t);
    const open = await temporaryDirectory(t);
    await chmod(open, 0o777);
    const pidFile = join(open, "pid");
    const script = `echo $$ > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 100`;
    const waiting = derivation("waiting-1", script);
    await writeFile(join(path, "default.nix"), `{ waiting = ${waiting}; }`);
    const child = start(["popularity", "--realise"], env);
    const stopped = ended(child);
    const builder = await readOnce(pidFile, stopped);
    child.kill("SIGINT");
    assert.deepEqual(await stopped, { code: 130, stdout: "", stderr: "nixport: stopped\n" });
    await untilEnded(builder);
  });

  test("stops at SIGINT while the source does not answer", async (t) => {
    const { env } = await plant(t);
    const server = await startGitServer(t, env.NIXPORT_STATE);
    server.hang();
    const { NIXERY_PKGS_PATH: _, ...others } = env;
    const child = start(["popularity"], { ...others, NIXERY_PKGS_REPO: server.url });
    const stopped = ended(child);
    await server.untilUnanswered(1);
    child.kill("SIGINT");
    assert.deepEqual(await stopped, { code: 130, stdout: "", stderr: "nixport: stopped\n" });
  });

  test("asks a cache for what is not realised", async (t) => {
    const { path, run } = await plant(t);
    const nix = await testNix();
    const limits = { mostAttributes: 10, signal: new AbortController().signal };
    const source = await pinPath(nix, path);
    const list = await listPackages({ nix, source, system: SYSTEM, ...limits });
    assert(list.kind === "listed");
    const outputs = list.packages.flatMap((each) => each.outputs.map((output) => output.path));
    const graph: Graph = Object.fromEntries([
      ...outputs.map((output) => [output, ["library-1.0"]]),
      ["library-1.0", []],
    ]);
    const failing = outputs.filter((output) => storePathName(output) === "failing-1.0");
    const absent: Readonly<Record<string, Fault>> = Object.fromEntries(
      failing.map((output) => [output, { answer: (response) => response.writeHead(404).end() }]),
    );
    const cache = await serveCache(t, graph, absent);
    const { stdout, stderr } = await run("--cache", cache.url);
    assert.match(stderr, /^closures of 3 of 4 packages \(1 not known, left out; 1 other/);
    assert.deepEqual(JSON.parse(stdout), { "closures of": 3, library: 3 });
  });
});
