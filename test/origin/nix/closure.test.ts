import { assert, describe, expect, onTestFinished, test } from "vitest";
import { parseClosure, queryClosure } from "../../../origin/nix/closure.ts";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { realise } from "../../../origin/nix/realise.ts";
import {
  parseStorePath,
  type StorePath,
  storePathName,
} from "../../../registry/naming/store-path.ts";
import { derivation, NO_CACHES, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

const A = "q6mm9hawl0d096xrwhgsf5qry1j3j6sk-a";
const B = "xay8zrw8mankf3j22z9z0cn77av1g1rm-b";
const SRI = "sha256-2xN9x+7f1kp6LN7GtUGEmWdnfdTRygu6Ui1HvXoW3fw=";
const HEX = "sha256:db137dc7eedfd64a7a2cdec6b541849967677dd4d1ca0bba522d47bd7a16ddfc";
const expected = [
  {
    ...{ path: `/nix/store/${A}`, narHash: null, narSizeBytes: 120 },
    ...{ references: [], refersToItself: false },
  },
  {
    ...{ path: `/nix/store/${B}`, narHash: HEX, narSizeBytes: 240 },
    ...{ references: [`/nix/store/${A}`], refersToItself: true },
  },
];

describe("parseClosure", () => {
  const rows: readonly (readonly [version: string, json: unknown])[] = [
    [
      "2.8",
      [
        {
          path: `/nix/store/${B}`,
          narHash: SRI,
          narSize: 240,
          references: [`/nix/store/${B}`, `/nix/store/${A}`],
          deriver: `/nix/store/${A}.drv`,
          registrationTime: 1795252567,
          ultimate: true,
        },
        { path: `/nix/store/${A}`, narSize: 120, references: [] },
      ],
    ],
    [
      "2.19 to 2.32",
      {
        [`/nix/store/${B}`]: {
          ca: null,
          narHash: SRI,
          narSize: 240,
          references: [`/nix/store/${A}`, `/nix/store/${B}`],
          signatures: [],
          ultimate: false,
        },
        [`/nix/store/${A}`]: { ca: null, narSize: 120, references: [] },
      },
    ],
    [
      "a version field in every object",
      {
        [`/nix/store/${B}`]: {
          version: 1,
          storeDir: "/nix/store",
          narHash: SRI,
          narSize: 240,
          references: [`/nix/store/${A}`, `/nix/store/${B}`],
        },
        [`/nix/store/${A}`]: { version: 1, storeDir: "/nix/store", narSize: 120, references: [] },
      },
    ],
    [
      "base names as keys",
      {
        [B]: { version: 2, narHash: SRI, narSize: 240, references: [A, B] },
        [A]: { narSize: 120, references: [] },
      },
    ],
    [
      "the second version of the format, with base names below `info`",
      {
        version: 2,
        storeDir: "/nix/store",
        info: {
          [B]: { version: 2, narHash: SRI, narSize: 240, references: [A, B] },
          [A]: { version: 2, narSize: 120, references: [] },
        },
      },
    ],
    [
      "what a builder is told of a closure",
      [
        {
          closureSize: 360,
          narHash: "sha256:1z6x2rxbsirdaax0pjnisiynfrwrhi0vbiny5ix4mmnzxv3ps4yv",
          narSize: 240,
          path: `/nix/store/${B}`,
          references: [`/nix/store/${A}`, `/nix/store/${B}`],
          valid: true,
        },
        { path: `/nix/store/${A}`, narHash: 7, narSize: 120, references: [] },
      ],
    ],
  ];
  test.for(rows)("reads the JSON of Nix: %s", ([, json]) =>
    expect(parseClosure(json)).toStrictEqual(expected),
  );

  test("refuses a path that is not valid and what is no store path", () => {
    expect(() => parseClosure({ [`/nix/store/${A}`]: null })).toThrow();
    expect(() => parseClosure([{ path: "/etc/passwd", narSize: 1, references: [] }])).toThrow();
  });
});

describe("queryClosure", () => {
  test("gives a diamond once, with a path that refers to itself, by process and from the database", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      onTestFinished,
      nix,
      `let
        base = ${derivation("base", "echo base > $out")};
        left = ${derivation("left", "echo $base > $out", "inherit base;")};
        right = ${derivation("right", "echo $base $out > $out", "inherit base;")};
      in {
        top = ${derivation("top", "echo $left $right > $out", "inherit left right;")};
        inherit right;
      }`,
    );
    const wanted = [];
    for (const { lookup } of await lookUp(
      nix,
      source,
      SYSTEM,
      ["top", "right"],
      AbortSignal.any([]),
    )) {
      assert(lookup.kind === "found");
      wanted.push(lookup);
    }
    const realised = await realise(nix, wanted, {
      rootsDir: await tempDir(onTestFinished),
      policy: NO_CACHES,
      builderTimeoutSeconds: 60,
      deadlineMs: 60_000,
      signal: AbortSignal.any([]),
    });
    assert(realised.kind === "realised");
    const roots = wanted.flatMap((each) => each.outputs.map((o) => o.path));
    started.length = 0;
    const graph = await queryClosure({ ...nix, database: undefined }, roots);
    expect(started).toStrictEqual(["nix"]);
    for (const some of [roots, roots.toReversed(), ...roots.map((root) => [root])]) {
      const asked = await queryClosure({ ...nix, database: undefined }, some);
      // Whatever else uses this machine's Nix may have the database locked for a moment.
      for (let attempt = 0; attempt === 0 || (started.length > 0 && attempt < 50); attempt += 1) {
        started.length = 0;
        expect(await queryClosure(nix, some)).toStrictEqual(asked);
      }
      expect(started).toStrictEqual([]);
    }
    await realised.release();
    const edges: Record<string, readonly string[]> = {};
    for (const { path, references } of graph) {
      edges[storePathName(path)] = references.map(storePathName).sort();
    }
    expect(edges).toStrictEqual({
      base: [],
      left: ["base"],
      right: ["base"],
      top: ["left", "right"],
    });
    expect(graph).toHaveLength(4);
    expect(graph.map((node) => node.path)).toStrictEqual(graph.map((node) => node.path).sort());
    expect(graph.every((node) => node.narSizeBytes > 0 && node.narHash !== null)).toBe(true);
    const ofItself = graph.filter(({ refersToItself }) => refersToItself);
    expect(ofItself.map(({ path }) => storePathName(path))).toStrictEqual(["right"]);
  });

  test("gives what a derivation is built with, by process and from the database", async () => {
    const nix = await testNix();
    const library = derivation("library", "echo library > $out");
    const source = await packageSet(
      onTestFinished,
      nix,
      `{ top = ${derivation("top", "echo top > $out", `library = ${library};`)}; }`,
    );
    const [found] = await lookUp(nix, source, SYSTEM, ["top"], AbortSignal.any([]));
    assert(found?.lookup.kind === "found");
    const root = parseStorePath(found.lookup.derivation) as StorePath;
    const graph = await queryClosure({ ...nix, database: undefined }, [root]);
    const names = graph.map(({ path }) => storePathName(path)).filter((name) => /drv$/.test(name));
    expect(names.sort()).toStrictEqual(["library.drv", "top.drv"]);
    expect(await queryClosure(nix, [root])).toStrictEqual(graph);
  });

  test("starts no process for no paths, and throws for a path that is not valid", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    started.length = 0;
    expect(await queryClosure(nix, [])).toStrictEqual([]);
    expect(started).toStrictEqual([]);
    const invalid = parseStorePath(`/nix/store/${"0".repeat(32)}-nothing`) as StorePath;
    await expect(queryClosure(nix, [invalid])).rejects.toThrow(/is not valid/);
  });
});
