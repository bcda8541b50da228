import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { OnSpawn } from "../../../origin/nix/run-log.ts";
import {
  type MadeIndex,
  type MakingOptions,
  makeIndex,
} from "../../../origin/package-index/make.ts";
import { openPackageIndexes } from "../../../origin/package-index/read-index.ts";
import { askedBy } from "../../../origin/package-index/stored-root.ts";
import type { PinnedTag } from "../../../origin/sources/pins.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { lookUpIndexObject } from "../../../origin/storage/stored-index.ts";
import { ALWAYS } from "../../../origin/waiting/demand.ts";
import { createSlots } from "../../../origin/waiting/slots.ts";
import type { PackageName, System } from "../../../registry/naming/recipe.ts";
import { attributesIn, readNames } from "../../../registry/package-index/names.ts";
import { pinOf } from "../../registry/fixture.ts";
import { endOfFile, readableLog, temporaryDirectory } from "../fixture.ts";
import { derivation, packageSet, SYSTEM, testNix } from "../nix/fixture.ts";

const atEnd = endOfFile();
const never = new AbortController().signal;
const made = (name: string) => derivation(name, "echo > $out");
const NUMBERED = Array.from({ length: 30 }, (_, index) => `p${index} = ${made(`p${index}-1`)};`);
/** What is built while it is evaluated must not be there from another run. */
const setOf = (salt: string) => `let
  hello = ${made("hello-1.0")} // { version = "1.0"; meta = { description = "A greeting"; mainProgram = "hi"; }; };
in {
  ${NUMBERED.join("\n  ")}
  greeter = hello;
  inherit hello;
  Both = ${made("both-1")};
  both = ${made("both-2")};
  "c++" = ${made("c-1")};
  python3Packages = { recurseForDerivations = true; inherit hello; PyYAML = ${made("pyyaml-6")};
    deep = { recurseForDerivations = true; one = ${made("one-1")}; }; };
  chosen = { two = ${made("two-2")}; };
  left = { three = ${made("three-3")}; };
  function = x: x;
  refused = hello // { outPath = throw "u"; meta.unfree = true; };
  thrown = throw "it was renamed to hello";
  aborted = abort "for good";
  endless = let x = x; in x;
  built = import ${derivation("a-file", "echo '\"said\"' > $out", `salt = "${salt}";`)};
  nixportImages.box = { contents = [ hello ]; };
}`;

const CLAIM_TIMES = { renewEveryMs: 20, overAfterMs: 200, lookEveryMs: 10 };

describe("the index of a set", { timeout: 120_000 }, async () => {
  const started: string[] = [];
  let onStart = () => {};
  const ended: Promise<{ readonly kind: string }>[] = [];
  const onSpawn: OnSpawn = (program, _, end) => {
    started.push(program);
    ended.push(end);
    onStart();
  };
  const nix = await testNix({ onSpawn });
  const source = await packageSet(atEnd, nix, setOf(await temporaryDirectory(atEnd)));
  const pinned: PinnedTag = {
    ...{ kind: "pinned", immutable: false, pin: pinOf("a".repeat(40)), resolvedAtMs: 0 },
    source,
  };
  const system = SYSTEM as System;
  const { log } = readableLog();
  const optionsFor = (store: BlobStore): MakingOptions => ({
    ...{ nix, store, log, now: Date.now, sets: [["chosen"]], claimTimes: CLAIM_TIMES },
    trees: { obtain: async () => ({ kind: "there", source }) },
    slots: createSlots({ atOnce: 1, waiting: 10 }),
    ...{ quiet: async () => {}, onStage: () => {}, explainingLeastMs: 60_000 },
  });
  const make = (store: BlobStore, more: Partial<MakingOptions> = {}, signal = never) =>
    makeIndex({ pinned, system }, { ...optionsFor(store), ...more }, signal);
  const newStore = async () => openFilesystemStore(await temporaryDirectory(onTestFinished));
  const read = (store: BlobStore) =>
    openPackageIndexes({
      ...{ store, now: Date.now, askedBy: askedBy(nix.expressionsId, [["chosen"]]) },
    });
  const rootOf = (index: MadeIndex) => {
    assert(index.kind === "made", JSON.stringify(index));
    return { ...index.root, madeAtMs: 0 };
  };
  const store = await openFilesystemStore(await temporaryDirectory(atEnd));
  const whole = make(store);

  test("has every attribute of the set, of sets that ask for it, and of sets that are chosen", async () => {
    const root = rootOf(await whole);
    const bytes = await lookUpIndexObject(store, root.names.digest);
    const attributes = attributesIn(readNames(bytes ?? new Uint8Array()) ?? "");
    expect(attributes).toContain("c--2b--2b");
    expect(attributes.filter((each) => each.includes("."))).toStrictEqual([
      "chosen.two",
      "python3Packages.PyYAML",
      "python3Packages.deep",
      "python3Packages.hello",
      "python3Packages.recurseForDerivations",
      "python3Packages.deep.one",
      "python3Packages.deep.recurseForDerivations",
    ]);
    expect(root.sets).toStrictEqual([
      { path: "chosen", isListed: true },
      { path: "left", isListed: false },
      { path: "nixportImages", isListed: false },
      { path: "python3Packages", isListed: true },
      { path: "python3Packages.deep", isListed: true },
    ]);
    expect(root.images).toStrictEqual(["box"]);
  });

  test("says of names what Nix says", async () => {
    await whole;
    const names = [
      ...[
        "hello",
        "greeter",
        "p7",
        "c--2b--2b",
        "python3packages.pyyaml",
        "chosen.two",
        "python3packages",
      ],
      ...[
        "function",
        "refused",
        "thrown",
        "aborted",
        "endless",
        "built",
        "both",
        "0--42oth",
        "nosuch",
      ],
      ...[
        "hallo",
        "python3packages.pyaml",
        "chosen.tow",
        "python3packages.deep.one",
        "python3packages.deep",
      ],
    ];
    const said = await lookUp(nix, source, SYSTEM, names, never);
    const { lookUp: indexed } = read(store);
    const at = (name: string) => indexed({ pin: pinned.pin, system, name: name as PackageName });
    expect(await Promise.all(names.map(at))).toStrictEqual(said.map(({ lookup }) => lookup));
    // Of these only Nix knows.
    const unknown = ["box", "hello.out", "left.three", "left", "BOTH"];
    expect(await Promise.all(unknown.map(at))).toStrictEqual(unknown.map(() => undefined));
  });

  test("goes on where it was when it is ended, and comes to the same", async () => {
    const fresh = await newStore();
    const stop = new AbortController();
    const onStage: MakingOptions["onStage"] = (stage) => {
      if (stage.kind === "evaluating" && stage.done >= 10) stop.abort(new Error("killed"));
    };
    await expect(make(fresh, { onStage, firstSlice: 5 }, stop.signal)).rejects.toThrow("killed");
    const stages: unknown[] = [];
    const resumed = await make(fresh, { onStage: (stage) => stages.push(stage) });
    expect(stages.slice(0, 2)).toMatchObject([
      { kind: "waiting" },
      { kind: "evaluating", done: expect.any(Number) },
    ]);
    expect((stages[1] as { readonly done: number }).done).toBeGreaterThanOrEqual(10);
    expect(rootOf(resumed)).toStrictEqual(rootOf(await whole));
    const left = [];
    for await (const { key } of fresh.list("index-slices/")) left.push(key);
    expect(left).toStrictEqual([]);
  });

  test("leaves its place to what somebody waits for, and is made all the same", async () => {
    const fresh = await newStore();
    const slots = createSlots({ atOnce: 1, waiting: 10 });
    const before = ended.length;
    onStart = () => {
      onStart = () => {};
      void slots.run(async () => undefined, never, ALWAYS);
    };
    expect(rootOf(await make(fresh, { slots }))).toStrictEqual(rootOf(await whole));
    const kinds = (await Promise.all(ended.slice(before))).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "cancelled")).toHaveLength(1);
  });

  test("is made once by two processes that begin it, and not again when it is there", async () => {
    const fresh = await newStore();
    const both = await Promise.all([make(fresh), make(fresh)]);
    expect(both.map(({ kind }) => kind).sort()).toStrictEqual(["made", "there"]);
    started.length = 0;
    expect(await make(fresh)).toMatchObject({ kind: "there" });
    expect(started).toStrictEqual([]);
    const again = await make(fresh, { sets: [] });
    expect(again.kind === "made" && again.root.count).toBe(rootOf(await whole).count - 1);
  });

  test("tells why it was not made, where the set does not load", async () => {
    const broken = await packageSet(onTestFinished, nix, `throw "it does not load"`);
    const trees: MakingOptions["trees"] = {
      obtain: async () => ({ kind: "there", source: broken }),
    };
    expect(await make(await newStore(), { trees })).toStrictEqual({
      ...{ kind: "not-made", reason: "it does not load" },
    });
  });
});
