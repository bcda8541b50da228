import { execFileSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { clearRoots, openRoots } from "../../../origin/nix/gc-roots.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixLog } from "../../../origin/nix/nix-log.ts";
import { type RealiseOptions, realise, type WantedOutputs } from "../../../origin/nix/realise.ts";
import { parseStorePath } from "../../../registry/naming/store-path.ts";
import { skipWhere } from "../../skip-where.ts";
import type { Ending } from "../fixture.ts";
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
const gated = { ...limit, ...skipWhere(hidesHost) };
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
  onEnd: Ending,
  names: readonly string[],
): Promise<{
  readonly wanted: readonly WantedOutputs[];
  readonly options: RealiseOptions;
  readonly dir: string;
}> {
  const dir = await tempDir(onEnd);
  execFileSync("mkfifo", ["-m", "666", join(dir, "pid")]);
  execFileSync("chmod", ["755", dir]);
  const source = await packageSet(onEnd, nix, packages(dir));
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
  test("builds many in one process and holds roots until they are released", async () => {
    const { wanted, options } = await prepare(onTestFinished, ["good", "alsoGood", "outputs"]);
    const logs: NixLog[] = [];
    const onLog = (log: NixLog) => logs.push(log);
    const result = await realise(nix, wanted, { ...options, onLog });
    assert(result.kind === "realised");
    expect(started).toStrictEqual(["nix-store --realise"]);
    expect(logs[0]?.progress().builds).toStrictEqual({ done: 3, expected: 3, running: [] });
    const paths = wanted.flatMap(({ outputs }) => outputs.map((output) => output.path));
    expect(paths).toHaveLength(4);
    for (const path of paths) {
      expect(await readFile(path, "utf8")).toMatch(/good|bin|out/);
      expect(await isRooted(path)).toBe(true);
    }
    await result.release();
    expect(await readdir(options.rootsDir)).toStrictEqual([]);
    for (const path of paths) expect(await isRooted(path)).toBe(false);
  });

  test("needs one process and no build for what is valid", async () => {
    const { wanted, options } = await prepare(onTestFinished, ["good"]);
    await realise(nix, wanted, options);
    started.length = 0;
    const logs: NixLog[] = [];
    const onLog = (log: NixLog) => logs.push(log);
    expect((await realise(nix, wanted, { ...options, onLog })).kind).toBe("realised");
    expect(started).toStrictEqual(["nix-store --realise"]);
    expect(logs[0]?.progress().builds).toStrictEqual({ done: 0, expected: 0, running: [] });
  });

  test("names the build that failed, shows its log, and holds the others", limit, async () => {
    const { wanted, options } = await prepare(onTestFinished, [
      "dependent",
      "good",
      "bad",
      "alsoGood",
    ]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    const [dependent, good, bad, alsoGood] = wanted;
    assert(dependent && good && bad && alsoGood);
    expect(result.failures.map((failure) => ({ ...failure, reason: "" }))).toStrictEqual(
      [dependent, bad].map((each) => ({
        kind: "builder-failed",
        wanted: each,
        derivation: bad.derivation,
        reason: "",
        log: ["first", "last"],
      })),
    );
    const [failure] = result.failures;
    expect(failure?.kind === "builder-failed" ? failure.reason : "").toMatch(/exit code 7/);
    for (const { outputs } of [good, alsoGood])
      expect(await isRooted(outputs[0]?.path ?? "")).toBe(true);
    await result.release();
  });

  test("keeps little of a megabyte that a builder writes, in lines or in one", limit, async () => {
    const { wanted, options } = await prepare(onTestFinished, ["wordy", "endless"]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    const logs = result.failures.map((failure) =>
      failure.kind === "builder-failed" ? failure.log : [],
    );
    expect(logs[0]?.slice(0, 9)).toStrictEqual(Array(9).fill("a line of output"));
    expect(logs[0]?.length).toBe(10);
    expect(String(logs[1]).length, String(String(logs[1]).length)).toBeLessThan(50_000);
    await result.release();
  });

  test("builds the rest although one is for a system it cannot build", limit, async () => {
    const { wanted, options } = await prepare(onTestFinished, ["foreign", "good"]);
    const result = await realise(nix, wanted, options);
    assert(result.kind === "build-failed");
    expect(result.failures.map((failure) => failure.wanted)).toStrictEqual([wanted[0]]);
    expect(JSON.stringify(result.failures)).toMatch(new RegExp(OTHER_SYSTEM));
    expect(await isRooted(wanted[1]?.outputs[0]?.path ?? "")).toBe(true);
    await result.release();
  });

  test("stops a builder that takes too long and shows what it had to say", limit, async () => {
    const { wanted, options } = await prepare(onTestFinished, ["slow", "good"]);
    const result = await realise(nix, wanted, { ...options, builderTimeoutSeconds: 1 });
    assert(result.kind === "build-failed");
    const [slow] = wanted;
    assert(slow !== undefined);
    expect(result.failures).toStrictEqual([
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

  test("leaves no builder and no root behind when it is cancelled", gated, async () => {
    const { wanted, options, dir } = await prepare(onTestFinished, ["waiting"]);
    const abort = new AbortController();
    const realising = realise(nix, wanted, { ...options, signal: abort.signal });
    // The builder writes its process id to a pipe, so reading it waits for the builder to run.
    const builder = Number(await readFile(join(dir, "pid"), "utf8"));
    abort.abort();
    expect(await realising).toStrictEqual({ kind: "cancelled" });
    await untilEnded(builder);
    expect(await readdir(options.rootsDir)).toStrictEqual([]);
  });

  test("leaves no builder behind at its deadline", gated, async () => {
    const { wanted, options, dir } = await prepare(onTestFinished, ["waiting"]);
    const realising = realise(nix, wanted, { ...options, deadlineMs: 1500 });
    const builder = Number(await readFile(join(dir, "pid"), "utf8"));
    expect(await realising).toStrictEqual({ kind: "timed-out", afterMs: 1500 });
    await untilEnded(builder);
    expect(await readdir(options.rootsDir)).toStrictEqual([]);
  });

  test("asks to evaluate again when a derivation was collected", async () => {
    const { wanted, options } = await prepare(onTestFinished, ["good"]);
    const path = parseStorePath(`/nix/store/${"0".repeat(32)}-gone-1`);
    assert(path !== undefined);
    const gone: WantedOutputs = {
      derivation: `/nix/store/${"0".repeat(32)}-gone-1.drv`,
      outputs: [{ name: "out", path }],
    };
    const result = await realise(nix, [gone, ...wanted], options);
    assert(result.kind === "build-failed");
    expect(result.failures).toStrictEqual([{ kind: "derivation-gone", wanted: gone }]);
    await result.release();
  });

  test("needs no derivation for outputs that are valid", async () => {
    const { wanted, options } = await prepare(onTestFinished, ["good"]);
    await realise(nix, wanted, options);
    const [good] = wanted;
    assert(good !== undefined);
    const derivations = [`/nix/store/${"0".repeat(32)}-gone-1.drv`, good.outputs[0]?.path ?? ""];
    for (const each of derivations) {
      const result = await realise(nix, [{ ...good, derivation: each }], options);
      expect(result.kind).toBe("realised");
    }
  });
});

describe("clearRoots", () => {
  test("removes what a crash has left behind and nothing else", async () => {
    const dir = join(await tempDir(onTestFinished), "roots");
    await openRoots(dir);
    await openRoots(dir);
    const mine = join(dir, "kept");
    execFileSync("touch", [mine]);
    await clearRoots(dir);
    expect(await readdir(dir)).toStrictEqual(["kept"]);
  });
});
