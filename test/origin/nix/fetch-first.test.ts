// Substitute or build, with the machine's own Nix and a cache that misbehaves: what a cache was meant
// to have is never built from source.

import { access } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { BuildPolicy } from "../../../origin/nix/build-policy.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import { type RealiseOptions, realise, type WantedOutputs } from "../../../origin/nix/realise.ts";
import { skipWhere } from "../../skip-where.ts";
import type { BinaryCache } from "../../stand-ins/binary-cache.ts";
import type { Fault } from "../../stand-ins/faults.ts";
import { openLoneCache } from "../../stand-ins/lone-cache.ts";
import { file } from "../../stand-ins/nar.ts";
import { missingWorld } from "../../stand-ins/world.ts";
import type { Ending } from "../fixture.ts";
import { derivation, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

const limit = { timeout: 60_000, ...skipWhere(missingWorld()) };
const never = AbortSignal.any([]);

/** Every builder notes that it ran. */
function packages(dir: string): string {
  const build = (name: string, extra = "") =>
    derivation(
      `${name}-1`,
      `echo > ${dir}/${name}; echo from source > $out`,
      `salt = "${dir}"; ${extra}`,
    );
  return `rec {
    library = ${build("library")};
    program = ${build("program", "inherit library;")};
    other = ${build("other")};
    tool = ${build("tool")};
    # Of which only the tool is in the cache.
    own = ${build("own", "inherit tool;")};
    more = ${build("more", "inherit own;")};
  }`;
}

const NAMES = ["library", "program", "other", "tool", "own", "more"];

interface House {
  readonly nix: NixTool;
  readonly cache: BinaryCache;
  readonly started: string[];
  readonly wanted: (...names: readonly string[]) => readonly WantedOutputs[];
  readonly options: RealiseOptions;
  /** Names of the packages whose builders ran. */
  readonly built: () => Promise<readonly string[]>;
}

async function prepare(onEnd: Ending, policy: Partial<BuildPolicy> = {}): Promise<House> {
  const dir = await tempDir(onEnd);
  const cache = await openLoneCache(onEnd);
  const started: string[] = [];
  const config = [
    ...["sandbox = false", "build-users-group =", "max-jobs = 2", "download-attempts = 1"],
    ...[`substituters = ${cache.url}`, `trusted-public-keys = ${cache.publicKey}`, ""],
  ];
  const nix = await testNix({
    // What Nix remembers of caches is no other test's.
    env: { NIX_CONFIG: config.join("\n"), XDG_CACHE_HOME: join(dir, "cache") },
    onSpawn: (program, args) => started.push(`${program} ${args.slice(0, 2).join(" ")}`),
  });
  const source = await packageSet(onEnd, nix, packages(dir));
  const found = new Map<string, WantedOutputs>();
  for (const { name, lookup } of await lookUp(nix, source, SYSTEM, NAMES, never)) {
    assert(lookup.kind === "found", JSON.stringify(lookup));
    found.set(name, lookup);
  }
  const pathOf = (name: string) => found.get(name)?.outputs[0]?.path ?? "";
  const add = (name: string, ...references: readonly string[]) =>
    cache.add(pathOf(name), file([name, ...references].join("\n")), references);
  add("library");
  add("program", pathOf("library"));
  add("other");
  add("tool");
  started.length = 0;
  return {
    ...{ nix, cache, started },
    wanted: (...names) => names.flatMap((name) => found.get(name) ?? []),
    options: {
      rootsDir: join(dir, "roots"),
      policy: { build: "missing", maxSourceBuilds: 20, caches: [cache.url], ...policy },
      ...{ builderTimeoutSeconds: 50, deadlineMs: 60_000, signal: never },
    },
    async built() {
      const ran = await Promise.all(
        NAMES.map((name) =>
          access(join(dir, name)).then(
            () => [name],
            () => [],
          ),
        ),
      );
      return ran.flat();
    },
  };
}

/** What is said of each that was not realised. */
async function failuresOf(house: House, names: readonly string[]) {
  const result = await realise(house.nix, house.wanted(...names), house.options);
  assert(result.kind === "realised" || result.kind === "build-failed", JSON.stringify(result));
  await result.release();
  if (result.kind === "realised") return [];
  return result.failures.map(({ wanted, ...failure }) => ({
    name: names.find((name) => house.wanted(name).includes(wanted)),
    ...failure,
  }));
}

const cut: Fault = { kind: "cut", afterBytes: 60 };
const failing: Fault = { kind: "status", status: 500 };
const faults: readonly (readonly [title: string, path: RegExp, fault: Fault, reason: RegExp])[] = [
  ["is down", /./, { kind: "refuse" }, /connect/i],
  ["has an error of its own", /nix-cache-info/, failing, /^HTTP error 500$/],
  ["is none", /./, { kind: "status", status: 404 }, /does not answer as a binary cache/],
  ["fails to say what it has", /narinfo/, failing, /^HTTP error 500$/],
  ["cuts what it says short", /narinfo/, cut, /cut short: Transferred a partial file$/],
  [
    ...(["is signed by somebody else", /narinfo/, { kind: "bad-signature" }] as const),
    /-program-1 is not signed by a key that is trusted here, but as cache\.nixos\.org-1$/,
  ],
  [
    "lacks a file it lists",
    /nar\//,
    { kind: "missing" },
    /it lists nar\/\w+\.nar\.zst and lacks it$/,
  ],
  ["fails to give a file", /nar\//, failing, /^HTTP error 500$/],
  ["cuts a file short", /nar\//, cut, /cut short: Transferred a partial file$/],
  [
    "gives a file that is another",
    /nar\//,
    { kind: "corrupt" },
    /a file is damaged: |has a wrong hash$/,
  ],
];

describe("a package that a cache was meant to have", limit, () => {
  test.for(faults)(
    "is not built from source where the cache %s",
    async ([, path, fault, reason]) => {
      const house = await prepare(onTestFinished);
      house.cache.fault(path, fault);
      const [failure, ...others] = await failuresOf(house, ["program"]);
      assert(failure?.kind === "cache-failed", JSON.stringify(failure));
      expect(failure.reason).toMatch(reason);
      expect(failure.cache).toBe(new URL(house.cache.url).host);
      expect(others).toStrictEqual([]);
      expect(await house.built()).toStrictEqual([]);
    },
  );

  test("keeps no other from being had that the cache does give", async () => {
    const house = await prepare(onTestFinished);
    house.cache.fault(/nar\/\S+ (?!other)/, failing);
    const failures = await failuresOf(house, ["program", "other"]);
    expect(failures.map(({ name, kind }) => [name, kind])).toStrictEqual([
      ["program", "cache-failed"],
    ]);
    expect(await house.built()).toStrictEqual([]);
  });

  test("is fetched, in two processes, and in one once it is there", async () => {
    const house = await prepare(onTestFinished);
    expect(await failuresOf(house, ["program", "other"])).toStrictEqual([]);
    expect(house.started).toStrictEqual([
      "nix-store --realise --dry-run",
      `nix-store --realise ${house.wanted("program")[0]?.outputs[0]?.path}`,
    ]);
    house.started.length = 0;
    expect(await failuresOf(house, ["program", "other"])).toStrictEqual([]);
    expect(house.started).toHaveLength(1);
    expect(await house.built()).toStrictEqual([]);
  });

  test("is built where the operator has all built that cannot be fetched", async () => {
    for (const [path, fault] of [
      [/nix-cache-info/, failing],
      // Nix 2.8 itself does not survive a narinfo with an error here.
      [/nar\//, { kind: "corrupt" }],
    ] as const) {
      const house = await prepare(onTestFinished, { build: "always", maxSourceBuilds: null });
      house.cache.fault(path, fault);
      expect(await failuresOf(house, ["program"])).toStrictEqual([]);
      expect(await house.built(), String(path)).toStrictEqual(["library", "program"]);
    }
  });
});

describe("a package that no cache has", limit, () => {
  test("is built of what the caches do have, and said before", async () => {
    const house = await prepare(onTestFinished);
    const said: number[] = [];
    const options = {
      ...house.options,
      onBuilds: (builds: readonly string[]) => void said.push(builds.length),
    };
    const result = await realise(house.nix, house.wanted("more", "program"), options);
    expect(result.kind, JSON.stringify(result)).toBe("realised");
    expect(said).toStrictEqual([2]);
    expect(await house.built()).toStrictEqual(["own", "more"]);
  });

  test("is not begun where more would be built than may be", async () => {
    const house = await prepare(onTestFinished, { maxSourceBuilds: 1 });
    const failures = await failuresOf(house, ["more", "program"]);
    const derivations = house.wanted("own", "more").map((each) => each.derivation);
    expect(failures).toStrictEqual([
      { name: "more", kind: "not-in-caches", count: 2, derivations, limit: 1 },
    ]);
    expect(await house.built()).toStrictEqual([]);
  });

  test("is not built where nothing may be", async () => {
    const house = await prepare(onTestFinished, { build: "never", maxSourceBuilds: null });
    const failures = await failuresOf(house, ["own", "program"]);
    const derivations = house.wanted("own").map((each) => each.derivation);
    expect(failures).toStrictEqual([
      { name: "own", kind: "not-in-caches", count: 1, derivations, limit: null },
    ]);
    expect(await house.built()).toStrictEqual([]);
  });

  test("is not built where what it needs cannot be fetched", async () => {
    const house = await prepare(onTestFinished);
    house.cache.fault(/nar\//, { kind: "status", status: 503 });
    const failures = await failuresOf(house, ["own"]);
    expect(failures.map(({ name, kind }) => [name, kind])).toStrictEqual([["own", "cache-failed"]]);
    expect(await house.built()).toStrictEqual([]);
  });

  test("is fetched once the cache has it, whatever it said a moment ago", async () => {
    const house = await prepare(onTestFinished, { build: "never", maxSourceBuilds: null });
    expect(await failuresOf(house, ["own"])).toHaveLength(1);
    const [own] = house.wanted("own");
    house.cache.add(own?.outputs[0]?.path ?? "", file("from the cache"), []);
    expect(await failuresOf(house, ["own"])).toStrictEqual([]);
  });

  test("is fetched once the cache has it, also where nothing is asked before", async () => {
    const house = await prepare(onTestFinished, { build: "always", maxSourceBuilds: null });
    const own = house.wanted("own").flatMap(({ outputs }) => outputs);
    const [path = ""] = own.map((output) => output.path);
    // As a lost layer is asked for: by its path, of which nothing can be built.
    const wanted = [{ derivation: path, outputs: own }];
    const before = await realise(house.nix, wanted, house.options);
    expect(before.kind).toBe("build-failed");
    house.cache.add(path, file("own"), []);
    const after = await realise(house.nix, wanted, house.options);
    expect(after.kind).toBe("realised");
    for (const each of [before, after]) if ("release" in each) await each.release();
  });

  test("is built without asking a cache where the host has none", async () => {
    const house = await prepare(onTestFinished, { caches: [], maxSourceBuilds: null });
    house.cache.fault(/./, { kind: "missing" });
    expect(await failuresOf(house, ["program"])).toStrictEqual([]);
    expect(house.started).toHaveLength(1);
  });
});

describe("a store path wanted without a derivation", limit, () => {
  test("is gone where the caches say so, and not where one does not answer", async () => {
    const house = await prepare(onTestFinished);
    const path = house.wanted("own")[0]?.outputs[0]?.path ?? expect.unreachable();
    const gone = { derivation: path, outputs: [{ name: "out", path }] };
    for (const kind of ["derivation-gone", "cache-failed"]) {
      const result = await realise(house.nix, [gone], house.options);
      assert(result.kind === "build-failed");
      expect(result.failures.map((failure) => failure.kind)).toStrictEqual([kind]);
      house.cache.fault(/narinfo/, { kind: "status", status: 502 });
    }
  });
});
