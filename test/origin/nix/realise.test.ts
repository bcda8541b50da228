import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { clearRoots, openRoots } from "../../../origin/nix/gc-roots.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixLog } from "../../../origin/nix/nix-log.ts";
import { type RealiseOptions, realise, type WantedOutputs } from "../../../origin/nix/realise.ts";
import { parseStorePath } from "../../../registry/naming/store-path.ts";
import {
  derivation,
  NO_CACHES,
  OTHER_SYSTEM,
  packageSet,
  SYSTEM,
  tempDir,
  testNix,
  untilEnded,
} from "./fixture.ts";
import { hidesHost } from "./sandbox-shell.ts";

const limit = { timeout: 60_000 };
const gated = { ...limit, skip: hidesHost };
const never = AbortSignal.any([]);
const started: string[] = [];
const nix = await testNix({ onSpawn: (program, args) => started.push(`${program} ${args[0]}`) });

function packages(salt: string): string {
  return `let
    bad = ${derivation("bad-1", "echo first; echo last; exit 7", `salt = "${salt}";`)};
  in {
    good = ${derivation("good-1", "echo good > $out", `salt = "${salt}";`)};
    alsoGood = ${derivation("also-good-1", "echo good > $out", `salt = "${salt}";`)};
    inherit bad;
    dependent = ${derivation("dependent-1", "echo $bad > $out", "inherit bad;")};
    slow = ${derivation("slow-1", "echo begun; exec sleep 1000", `salt = "${salt}";`)};
    waiting = ${derivation("waiting-1", `echo $$ > ${salt}/pid; exec sleep 1000`, `salt = "${salt}";`)};
    # Says of itself what is not so, or the lookup would have refused it.
    wordy = ${derivation("wordy-1", "yes 'a line of output' | head -c 1048576 >&2; exit 3", `salt = "${salt}";`)};
    endless = ${derivation("endless-1", "head -c 1048576 /dev/zero | tr '\\0' x >&2; exit 3", `salt = "${salt}";`)};
    foreign = derivation { name = "foreign-1"; system = "${OTHER_SYSTEM}"; builder = "/bin/sh"; }
      // { system = "${SYSTEM}"; };
    outputs = ${derivation(
      "outputs-1",
      "echo bin > $bin; echo dev > $dev; echo out > $out",
      `outputs = [ "dev" "bin" "out" ]; salt = "${salt}";`,
    )} // { meta.outputsToInstall = [ "bin" "out" ]; };
  }`;
}

async function prepare(
  t: TestContext,
  names: readonly string[],
): Promise<{
  readonly wanted: readonly WantedOutputs[];
  readonly options: RealiseOptions;
  readonly dir: string;
}> {
  const dir = await tempDir(t);
  execFileSync("mkfifo", ["-m", "666", join(dir, "pid")]);
  execFileSync("chmod", ["755", dir]);
  const source = await packageSet(t, nix, packages(dir));
  const wanted = [];
  for (const { lookup } of await lookUp(nix, source, SYSTEM, names, never)) {
    assert(lookup.kind === "found", JSON.stringify(lookup));
    wanted.push(lookup);
  }
  started.length = 0;
  return {
    wanted,
    dir,
    options: {
      rootsDir: join(dir, "roots"),
      policy: NO_CACHES,
      builderTimeoutSeconds: 50,
      deadlineMs: 60_000,
      signal: never,
    },
  };
}

async function isRooted(path: string): Promise<boolean> {
  const roots = await nix.run("nix-store", ["--query", "--roots", path], { deadlineMs: 60_000 });
  assert(roots.kind === "exited" && roots.code === 0, JSON.stringify(roots));
  return roots.stdout.includes("nixport-test-");
}

describe("realise", () => {
  test("builds many in one process and holds roots until they are released", async (t) => {
    const { wanted, options } = await prepare(t, ["good", "alsoGood", "outputs"]);
    const logs: NixLog[] = [];
    const onLog = (log: NixLog) => logs.push(log);
    const result = await realise(nix, wanted, { ...options, onLog });
    assert(result.kind === "realised");
    assert.deepEqual(started, ["nix-store --realise"]);
    assert.deepEqual(logs[0]?.progress().builds, { done: 3, expected: 3, running: [] });
    const paths = wanted.flatMap(({ outputs }) => outputs.map((output) => output.path));
    assert.equal(paths.length, 4);
    for (const path of paths) {
      assert.match(await readFile(path, "utf8"), /good|bin|out/);
      assert(await isRooted(path));
    }
    await result.release();
    assert.deepEqual(await readdir(options.rootsDir), []);
    for (const path of paths) assert(!(await isRooted(path)));
  });

  test("needs one process and no build for what is valid", async (t) => {
    const { wanted, options } = await prepare(t, ["good"]);
    await realise(nix, wanted, options);
    started.length = 0;
    const logs: NixLog[] = [];
    const onLog = (log: NixLog) => logs.push(log);
    assert.equal((await realise(nix, wanted, { ...options, onLog })).kind, "realised");
    assert.deepEqual(started, ["nix-store --realise"]);
    assert.deepEqual(logs[0]?.progress().builds, { done: 0, expected: 0, running: [] });
  });

  test("names the build that failed, shows its log, and holds the others", limit, async (t) => {
    const { wanted, options } = await prepare(t, ["dependent", "good", "bad", "alsoGood"]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    const [dependent, good, bad, alsoGood] = wanted;
    assert(dependent && good && bad && alsoGood);
    assert.deepEqual(
      result.failures.map((failure) => ({ ...failure, reason: "" })),
      [dependent, bad].map((each) => ({
        kind: "builder-failed",
        wanted: each,
        derivation: bad.derivation,
        reason: "",
        log: ["first", "last"],
      })),
    );
    const [failure] = result.failures;
    assert.match(failure?.kind === "builder-failed" ? failure.reason : "", /exit code 7/);
    for (const { outputs } of [good, alsoGood]) assert(await isRooted(outputs[0]?.path ?? ""));
    await result.release();
  });

  test("keeps little of a megabyte that a builder writes, in lines or in one", limit, async (t) => {
    const { wanted, options } = await prepare(t, ["wordy", "endless"]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    const logs = result.failures.map((failure) =>
      failure.kind === "builder-failed" ? failure.log : [],
    );
    assert.deepEqual(logs[0]?.slice(0, 9), Array(9).fill("a line of output"));
    assert.equal(logs[0]?.length, 10);
    assert(String(logs[1]).length < 50_000, String(String(logs[1]).length));
    await result.release();
  });

  test("builds the rest although one is for a system it cannot build", limit, async (t) => {
    const { wanted, options } = await prepare(t, ["foreign", "good"]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    assert.deepEqual(
      result.failures.map((failure) => failure.wanted),
      [wanted[0]],
    );
    assert.match(JSON.stringify(result.failures), new RegExp(OTHER_SYSTEM));
    assert(await isRooted(wanted[1]?.outputs[0]?.path ?? ""));
    await result.release();
  });

  test("stops a builder that takes too long and shows what it had to say", limit, async (t) => {
    const { wanted, options } = await prepare(t, ["slow", "good"]);
    const result = await realise(nix, wanted, { ...options, builderTimeoutSeconds: 1 });
    assert(result.kind === "build-failed");
    const [slow] = wanted;
    assert(slow !== undefined);
    assert.deepEqual(result.failures, [
      {
        kind: "builder-timed-out",
        wanted: slow,
        derivation: slow.derivation,
        afterSeconds: 1,
        log: ["begun"],
      },
    ]);
    await result.release();
  });

  test("leaves no builder and no root behind when it is cancelled", gated, async (t) => {
    const { wanted, options, dir } = await prepare(t, ["waiting"]);
    const abort = new AbortController();
    const realising = realise(nix, wanted, { ...options, signal: abort.signal });
    // The builder writes its process id to a pipe, so reading it waits for the builder to run.
    const builder = Number(await readFile(join(dir, "pid"), "utf8"));
    abort.abort();
    assert.deepEqual(await realising, { kind: "cancelled" });
    await untilEnded(builder);
    assert.deepEqual(await readdir(options.rootsDir), []);
  });

  test("leaves no builder behind at its deadline", gated, async (t) => {
    const { wanted, options, dir } = await prepare(t, ["waiting"]);
    const realising = realise(nix, wanted, { ...options, deadlineMs: 1500 });
    const builder = Number(await readFile(join(dir, "pid"), "utf8"));
    assert.deepEqual(await realising, { kind: "timed-out", afterMs: 1500 });
    await untilEnded(builder);
    assert.deepEqual(await readdir(options.rootsDir), []);
  });

  test("asks to evaluate again when a derivation was collected", async (t) => {
    const { wanted, options } = await prepare(t, ["good"]);
    const path = parseStorePath(`/nix/store/${"0".repeat(32)}-gone-1`);
    assert(path !== undefined);
    const gone: WantedOutputs = {
      derivation: `/nix/store/${"0".repeat(32)}-gone-1.drv`,
      outputs: [{ name: "out", path }],
    };
    const result = await realise(nix, [gone, ...wanted], options);
    assert(result.kind === "build-failed");
    assert.deepEqual(result.failures, [{ kind: "derivation-gone", wanted: gone }]);
    await result.release();
  });

  test("needs no derivation for outputs that are valid", async (t) => {
    const { wanted, options } = await prepare(t, ["good"]);
    await realise(nix, wanted, options);
    const [good] = wanted;
    assert(good !== undefined);
    const derivations = [`/nix/store/${"0".repeat(32)}-gone-1.drv`, good.outputs[0]?.path ?? ""];
    for (const each of derivations) {
      const result = await realise(nix, [{ ...good, derivation: each }], options);
      assert.equal(result.kind, "realised");
    }
  });
});

describe("clearRoots", () => {
  test("removes what a crash has left behind and nothing else", async (t) => {
    const dir = join(await tempDir(t), "roots");
    await openRoots(dir);
    await openRoots(dir);
    const mine = join(dir, "kept");
    execFileSync("touch", [mine]);
    await clearRoots(dir);
    assert.deepEqual(await readdir(dir), ["kept"]);
  });
});
