// `nixport popularity` as a process: from a list or a package set to the file that the origin
// reads.

import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { parsePopularity } from "../../../origin/layers/popularity.ts";
import { listPackages } from "../../../origin/popularity/package-set.ts";
import { storePathName } from "../../../registry/naming/store-path.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
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
  test("writes what the origin reads, to a file or to standard output", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const cache = await serveCache(onTestFinished, {
      "htop-3": ["glibc-2"],
      "git-2": ["glibc-2", "gone-1"],
    });
    const list = join(statePath, "store-paths");
    await writeFile(list, `${storePathOf("htop-3")}\n${storePathOf("git-2")}\n`);
    const args = ["popularity", "--store-paths", list, "--cache", cache.url];
    const env = { NIXPORT_STATE: statePath };

    const out = join(statePath, "popularity.json");
    const toFile = await ended(start([...args, "--out", out], env));
    expect(toFile.code, toFile.stderr).toBe(0);
    expect(toFile.stderr).toBe(
      "references of 2 of 4 store paths (2 not in the cache, left out): 1 packages\n",
    );
    expect(toFile.stdout).toBe("");
    const written = await readFile(out, "utf8");
    expect(JSON.parse(written)).toStrictEqual({ "references of": 2, glibc: 2 });
    expect(parsePopularity(written).kind).toBe("popularity");

    cache.asked.length = 0;
    const toStdout = await ended(start(args, env));
    expect(toStdout.stdout).toBe(written);
    expect(cache.asked).toStrictEqual([]);
  });

  test("writes nothing where the cache has none of the list", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const cache = await serveCache(onTestFinished, {});
    const list = join(statePath, "store-paths");
    await writeFile(list, `${storePathOf("htop-3")}\n`);
    const args = ["popularity", "--store-paths", list, "--cache", cache.url];
    const result = await ended(start(args, { NIXPORT_STATE: statePath }));
    const stderr = `nixport: ${cache.url} has none of 1 store paths\n`;
    expect(result).toStrictEqual({ code: 1, stdout: "", stderr });
  });

  test("stops at SIGINT and keeps what it has read", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    const hanging = Promise.withResolvers<void>();
    const cache = await serveCache(
      onTestFinished,
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
    expect(await stopped).toStrictEqual({ code: 130, stdout: "", stderr: "nixport: stopped\n" });

    cache.asked.length = 0;
    const again = await ended(start(args, { NIXPORT_STATE: statePath }));
    expect(JSON.parse(again.stdout)).toStrictEqual({ "references of": 3, glibc: 2 });
    expect(cache.asked).not.toContain("htop-3");
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

  async function plant(onEnd: Ending) {
    const path = await temporaryDirectory(onEnd);
    await writeFile(join(path, "default.nix"), expression(path));
    const statePath = await temporaryDirectory(onEnd);
    const env = {
      ...{ NIXERY_PKGS_PATH: path, NIXPORT_STATE: statePath, HOME: statePath },
      NIX_CONFIG: "sandbox = false\nsubstituters =\nmax-jobs = 2\n",
    };
    const run = async (...args: readonly string[]) =>
      await ended(start(["popularity", ...args], env));
    return { path, env, run };
  }

  test("counts the derivations before anything is realised", async () => {
    const { run } = await plant(onTestFinished);
    const { code, stdout, stderr } = await run("--derivations");
    expect(stderr).toBe("derivations of 4 of 4 packages (1 other attributes): 2 packages\n");
    expect(JSON.parse(stdout)).toStrictEqual({ "derivations of": 4, library: 4, tool: 3 });
    expect(code).toBe(0);
  });

  test("counts closures once they are realised, and says what is not", async () => {
    const { run, env } = await plant(onTestFinished);
    const roots = join(env.NIXPORT_STATE, "popularity-roots");
    await mkdir(join(roots, "held-by-a-killed-run"), { recursive: true });
    const before = await run();
    expect(before.stderr).toMatch(/^nixport: none of 4 packages is known: --realise builds them/);
    expect(before.code).toBe(1);
    const realised = await run("--realise");
    expect(realised.stderr).toMatch(
      /^1 packages could not be realised\nclosures of 3 of 4 packages/,
    );
    expect(JSON.parse(realised.stdout)).toStrictEqual({ "closures of": 3, library: 3 });
    expect(await readdir(roots)).toStrictEqual([]);
    const later = await run();
    expect(later.stdout).toBe(realised.stdout);
  });

  test("stops at SIGINT while it builds, and the builder with it", {
    ...skipWhere(hidesHost),
  }, async () => {
    const { path, env } = await plant(onTestFinished);
    const open = await temporaryDirectory(onTestFinished);
    await chmod(open, 0o777);
    const pidFile = join(open, "pid");
    const script = `echo $$ > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 100`;
    const waiting = derivation("waiting-1", script);
    await writeFile(join(path, "default.nix"), `{ waiting = ${waiting}; }`);
    const child = start(["popularity", "--realise"], env);
    const stopped = ended(child);
    const builder = await readOnce(pidFile, stopped);
    child.kill("SIGINT");
    expect(await stopped).toStrictEqual({ code: 130, stdout: "", stderr: "nixport: stopped\n" });
    await untilEnded(builder);
  });

  test("stops at SIGINT while the source does not answer", async () => {
    const { env } = await plant(onTestFinished);
    const server = await startGitServer(onTestFinished, env.NIXPORT_STATE);
    server.hang();
    const { NIXERY_PKGS_PATH: _, ...others } = env;
    const child = start(["popularity"], { ...others, NIXERY_PKGS_REPO: server.url });
    const stopped = ended(child);
    await server.untilUnanswered(1);
    child.kill("SIGINT");
    expect(await stopped).toStrictEqual({ code: 130, stdout: "", stderr: "nixport: stopped\n" });
  });

  test("asks a cache for what is not realised", async () => {
    const { path, run } = await plant(onTestFinished);
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
    const cache = await serveCache(onTestFinished, graph, absent);
    const { stdout, stderr } = await run("--cache", cache.url);
    expect(stderr).toMatch(/^closures of 3 of 4 packages \(1 not known, left out; 1 other/);
    expect(JSON.parse(stdout)).toStrictEqual({ "closures of": 3, library: 3 });
  });
});
