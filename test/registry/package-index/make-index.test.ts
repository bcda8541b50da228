// The objects of an index beside its shards, and what makes one index of another.

import { gzipSync } from "node:zlib";
import { assert, describe, expect, test } from "vitest";
import { readPart } from "../../../registry/naming/attribute.ts";
import { type Digest, digestOf } from "../../../registry/naming/digest.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { foldAttribute, foldPath } from "../../../registry/package-index/fold.ts";
import { type MadeIndex, makeIndex } from "../../../registry/package-index/make-index.ts";
import {
  attributesIn,
  encodeNames,
  namesIn,
  readNames,
} from "../../../registry/package-index/names.ts";
import {
  applyPatch,
  type IndexObject,
  parsePatch,
  patchBetween,
  patchJson,
} from "../../../registry/package-index/patch.ts";
import {
  decodeRoot,
  encodeRoot,
  type IndexedSet,
  parseRoot,
  rootJson,
  setsSpelled,
  shardFor,
} from "../../../registry/package-index/root.ts";
import { type IndexEntry, parseShard } from "../../../registry/package-index/shard.ts";
import {
  encodeTexts,
  packageText,
  readTexts,
  textLines,
  textsOf,
} from "../../../registry/package-index/texts.ts";
import { madeUpSet } from "./made-up-set.ts";

const pin = parsePin("a".repeat(40));
const SETS: readonly IndexedSet[] = [
  { path: "python3Packages", isListed: true },
  { path: "lib", isListed: false },
];
const bytesOf = (json: unknown) => new TextEncoder().encode(JSON.stringify(json));

async function indexOf(entries: readonly IndexEntry[], sets = SETS): Promise<MadeIndex> {
  assert(pin !== undefined);
  const images = ["site", "Blog"];
  const of = { pin, system: "x86_64-linux", isComplete: true, madeAtMs: 5, images, sets } as const;
  return makeIndex({ ...of, entries });
}

describe("a fold", () => {
  test.for([
    ["git", "git"],
    ["python3Packages.NumPy", "python3packages.numpy"],
    ["_7zz", "7zz"],
    ["__7zz", "__7zz"],
    ["_foo", "_foo"],
    ["gtk--2b", "gtk+"],
    // No name begins with an escape of its own: 0 is the attribute's.
    ["0--2b", "0+"],
  ])("of %s is %s", ([attribute, fold]) => {
    expect(foldAttribute(attribute ?? "")).toBe(fold);
  });

  test.for([
    ["0--46oo", "foo"],
    ["0--30--2b", "0+"],
    ["python3packages.0--5f7zz", "python3packages.7zz"],
  ])("of the name %s is %s", ([name, fold]) => {
    expect(foldPath((name ?? "").split(".").map(readPart))).toBe(fold);
  });
});

describe("a root", async () => {
  const { root, objects } = await indexOf(madeUpSet(3000).entries);

  test("is read as it was written", () => {
    expect(decodeRoot(encodeRoot(root))).toStrictEqual(root);
  });

  test("leads to the shard of each name", () => {
    for (const object of objects.filter(({ kind }) => kind === "shard")) {
      for (const { attribute } of parseShard(object.bytes) ?? []) {
        expect(shardFor(root, foldAttribute(attribute))?.digest).toBe(object.digest);
      }
    }
    expect(shardFor(root, "")?.digest).toBe(root.shards[0]?.digest);
    expect(shardFor(root, "~")?.digest).toBe(root.shards.at(-1)?.digest);
  });

  test("has a set listed only where nothing else is spelled like it", async () => {
    const said = { kind: "broken" } as const;
    const sets = ["Foo", "foo", "bar", "a.baz"].map((path) => ({ path, isListed: true }));
    const clashing = await indexOf(
      [
        { attribute: "BAR", said },
        { attribute: "baz", said },
      ],
      sets,
    );
    const listed = clashing.root.sets.filter(({ isListed }) => isListed);
    expect(listed.map(({ path }) => path)).toStrictEqual(["a.baz"]);
    expect(setsSpelled(clashing.root, "foo").map(({ path }) => path)).toStrictEqual(["Foo", "foo"]);
  });

  const json = rootJson(root) as { readonly froms: readonly string[] };
  test.for<readonly [what: string, json: unknown]>([
    ["nothing", undefined],
    ["another format", { ...json, format: 2 }],
    ["another pin", { ...json, pin: "../x" }],
    ["another system", { ...json, system: "wasm" }],
    ["shards out of order", { ...json, froms: json.froms.toReversed() }],
    ["a shard without a digest", { ...json, digests: "" }],
    ["digests that are none", { ...json, digests: "g".repeat(64) }],
    ["a shard that begins late", { ...json, froms: ["b"], sizes: [1], digests: "0".repeat(64) }],
    ["names without end", { ...json, listed: ["x".repeat(2000)] }],
  ])("is none with %s", ([, hostile]) => {
    expect(parseRoot(hostile)).toBeUndefined();
  });
});

describe("the names of an index", () => {
  const attributes = ["git", "_7zz", "gtk--2b", "a--2eb", "perl.X--3a--3aY", "perl.z", "Git"];
  const names = readNames(encodeNames(attributes)) ?? "";

  test("are given by set, as the set has them", () => {
    expect(namesIn(names, "")).toStrictEqual(["Git", "_7zz", "a.b", "git", "gtk+"]);
    expect(namesIn(names, "perl")).toStrictEqual(["X::Y", "z"]);
    expect(namesIn(names, "erl")).toStrictEqual([]);
    expect(namesIn(names, "git")).toStrictEqual([]);
    expect(attributesIn(names).toSorted()).toStrictEqual(attributes.toSorted());
  });

  test("are none of what no name can say, and none of other bytes", () => {
    expect(() => encodeNames(["a.b", ""])).toThrow(/no name can say ""/);
    expect(() => encodeNames(["x".repeat(256)])).toThrow(/no name can say "x+"/);
    expect(readNames(new TextEncoder().encode("nixport texts 1\n"))).toBeUndefined();
  });
});

describe("the texts of an index", () => {
  test("are programs, descriptions and other names, each on a line", () => {
    const [first, second] = madeUpSet(2).entries;
    assert(first?.said.kind === "found" && second?.said.kind === "found");
    const texts = textsOf([
      {
        ...first,
        attribute: "a",
        said: { ...first.said, description: "x\n\ty  z ", mainProgram: "a" },
      },
      { ...second, attribute: "b", also: "a" },
      { ...second, attribute: "A", also: "a" },
      { ...second, attribute: "c", said: { ...second.said, description: null, mainProgram: null } },
      { attribute: "d", said: { kind: "broken" } },
    ]);
    expect(texts).toStrictEqual([
      { attribute: "a", program: "a", description: "x y z", others: ["A", "b"] },
      { attribute: "c", program: null, description: null, others: [] },
    ]);
    const read = readTexts(encodeTexts(texts)) ?? "";
    expect(textLines(read).map(packageText)).toStrictEqual(texts);
  });
});

describe("what changed of an index", async () => {
  const set = madeUpSet(10_000);
  const before = await indexOf(set.entries);

  test("of which 1 % has other versions, is less than 5 % of its bytes", async () => {
    const after = await indexOf(set.bumped(0.01, 5));
    const { sent, whole } = await travel(before, after);
    console.info(`${sent} of ${whole} bytes: ${((100 * sent) / whole).toFixed(1)} %`);
    expect(sent).toBeLessThan(0.05 * whole);
    // No version is in them.
    expect(after.root.names).toStrictEqual(before.root.names);
    expect(after.root.texts).toStrictEqual(before.root.texts);
  });

  test("and of which 1 % besides is new or gone, is made whole again", async () => {
    const [some, others] = [madeUpSet(150, 11).entries, set.bumped(0.01, 6)];
    const known = new Set(others.map(({ attribute }) => attribute));
    const added = some.filter(({ attribute }) => !known.has(attribute));
    const after = await indexOf([...others.filter((_, place) => place % 200 > 0), ...added]);
    const { sent, whole } = await travel(before, after);
    expect(sent).toBeLessThan(0.08 * whole);
  });

  test.for<readonly [what: string, json: unknown]>([
    ["nothing", null],
    ["another kind", { kind: "root", base: null, digest: before.root.names.digest, removed: [] }],
    ["no digest", { kind: "names", base: null, digest: "x", removed: [], added: [] }],
    [
      "entries that are none",
      { kind: "shard", base: null, digest: before.root.names.digest, removed: [], entries: {} },
    ],
  ])("is none with %s", ([, json]) => {
    expect(parsePatch(json)).toBeUndefined();
  });

  test("makes nothing of what is no object", () => {
    const shard = before.objects.find(({ kind }) => kind === "shard");
    assert(shard !== undefined);
    const patch = patchBetween(null, shard);
    expect(applyPatch(patch, bytesOf({}))).toBeUndefined();
    expect(applyPatch(patch, null)).toStrictEqual(shard.bytes);
  });
});

/** Sends what the other side has not, as patches of what it has; compressed as on the way. */
async function travel(before: MadeIndex, after: MadeIndex) {
  const known = new Map(before.objects.map((object) => [object.digest, object]));
  const sent: unknown[] = [rootJson(after.root)];
  for (const next of after.objects.filter(({ digest }) => !known.has(digest))) {
    const patch = parsePatch(
      JSON.parse(JSON.stringify(patchJson(patchBetween(baseOf(next, before, after, known), next)))),
    );
    assert(patch !== undefined);
    const base = patch.base === null ? null : (known.get(patch.base)?.bytes ?? null);
    const made = applyPatch(patch, base);
    assert(made !== undefined);
    expect(await digestOf(made)).toBe(patch.digest);
    sent.push(patchJson(patch));
  }
  const compressed = ({ bytes }: { readonly bytes: Uint8Array }) => gzipSync(bytes).length;
  const objects = [{ bytes: encodeRoot(after.root) }, ...after.objects];
  return {
    sent: gzipSync(bytesOf(sent)).length,
    whole: objects.map(compressed).reduce((sum, size) => sum + size, 0),
  };
}

function baseOf(
  { kind, digest }: IndexObject,
  before: MadeIndex,
  after: MadeIndex,
  known: ReadonlyMap<Digest, IndexObject>,
): IndexObject | null {
  if (kind !== "shard") return known.get(before.root[kind].digest) ?? null;
  const from = after.root.shards.find((shard) => shard.digest === digest)?.from ?? "";
  const base = shardFor(before.root, from);
  return (base && known.get(base.digest)) ?? null;
}
