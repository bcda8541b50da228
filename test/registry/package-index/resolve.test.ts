// What a name means by an index. That it is what Nix says is tested where Nix is (test/origin/package-index).

import { assert, describe, expect, test } from "vitest";
import { parseJson } from "../../../registry/http/json.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { makeIndex } from "../../../registry/package-index/make-index.ts";
import { namesIn, readNames } from "../../../registry/package-index/names.ts";
import { answer, lookupOf, plan, setOf } from "../../../registry/package-index/resolve.ts";
import type { IndexedSet, IndexRoot } from "../../../registry/package-index/root.ts";
import { type IndexEntry, readShard, type Said } from "../../../registry/package-index/shard.ts";

const ENTRIES: readonly IndexEntry[] = [
  ...["git", "Git", "htop", "_7zz", "ghc94", "GHC94", "site", "callPackage"].map(refused),
  ...["py.numpy", "py.NumExpr", "a--2eb", "py.a--2bb"].map(refused),
  { attribute: "lost", said: { kind: "unexplained" } },
  { attribute: "turn", said: { kind: "missing", near: ["x"] } },
];
const SETS: readonly IndexedSet[] = [
  { path: "py", isListed: true },
  { path: "Sub", isListed: true },
  { path: "lib", isListed: false },
  { path: "py.deep", isListed: false },
  { path: "Htop", isListed: true },
];

/** Says of which attribute it is. */
function refused(attribute: string): IndexEntry {
  return { attribute, said: { kind: "unfree", licenses: [attribute] } };
}

const MEANT: readonly (readonly [name: string, meant: unknown])[] = [
  ["git", "git"],
  ["0--47it", "Git"],
  ["htop", "htop"],
  ["7zz", "_7zz"],
  ["0--5f7zz", "_7zz"],
  ["ghc94", "ghc94"],
  ["py.numpy", "py.numpy"],
  ["py.numexpr", "py.NumExpr"],
  ["py.num--45xpr", { kind: "missing", near: ["py.numexpr"] }],
  ["a--2eb", "a--2eb"],
  ["py.a--2bb", "py.a--2bb"],
  ["nothing", { kind: "missing", near: [] }],
  ["gti", { kind: "missing", near: ["0--47it", "git"] }],
  ["py.nunpy", { kind: "missing", near: ["py.numpy"] }],
  ["py.0--5fnumpy", { kind: "missing", near: ["py.numpy"] }],
  ["nothing.at.all", { kind: "missing", near: [] }],
  ["sub", { kind: "not-a-package", what: "set", near: [] }],
  [
    "py",
    {
      kind: "not-a-package",
      what: "set",
      near: ["py.numexpr", "py.a--2bb", "py.deep", "py.numpy"],
    },
  ],
  // An image, whatever the packages are.
  ["site", null],
  // Below a package, or below a set that is not listed.
  ["git.out", null],
  ["lib.fakehash", null],
  ["lib", null],
  ["py.deep.x", null],
  ["htop.x", null],
  ["lost", null],
  ["turn", null],
];

describe("a name by its index", async () => {
  const complete = await made(true);
  test.for(MEANT)("%s", ([name, meant]) => {
    const said = meaning(complete, name);
    expect(said?.kind === "unfree" ? said.licenses[0] : (said ?? null)).toStrictEqual(meant);
  });

  test("is not missing where not all of the set is there", async () => {
    const partial = await made(false);
    expect(meaning(partial, "nothing")).toBeUndefined();
    expect(meaning(partial, "git")).toBeDefined();
  });

  test("is nothing where its shard is not what was written", () => {
    const planned = plan(complete.root, "git");
    assert(planned.kind === "look");
    const damaged = { count: 1, attributeAt: () => "git", entryAt: () => undefined };
    expect(answer(complete.root, planned, damaged)).toStrictEqual({ kind: "unknown" });
  });

  test("may be one of several", async () => {
    const { root, objects } = await made(true, ["Foo", "FOO"].map(refused));
    expect(meaning({ root, objects }, "foo")).toBeUndefined();
    expect(meaning({ root, objects }, "0--46oo")).toStrictEqual({
      kind: "unfree",
      licenses: ["Foo"],
    });
  });
});

type Made = Awaited<ReturnType<typeof makeIndex>>;

async function made(isComplete: boolean, more: readonly IndexEntry[] = []): Promise<Made> {
  const pin = parsePin("b".repeat(40));
  assert(pin !== undefined);
  const of = {
    pin,
    system: "x86_64-linux",
    isComplete,
    madeAtMs: 1,
    images: ["Site"],
    sets: SETS,
  } as const;
  return makeIndex({ ...of, entries: [...ENTRIES, ...more] });
}

function meaning({ root, objects }: Made, name: string): Said | undefined {
  const planned = plan(root, name);
  if (planned.kind === "unknown") return undefined;
  const bytes = objects.find(({ digest }) => digest === planned.shard?.digest)?.bytes;
  const said = answer(root, planned, bytes && readShard(parseJson(bytes)));
  switch (said.kind) {
    case "said":
      return said.lookup;
    case "unknown":
      return undefined;
    default:
      return lookupOf(root, said, namesIn(namesTextOf({ root, objects }), setOf(said)));
  }
}

function namesTextOf({ root, objects }: { root: IndexRoot } & Pick<Made, "objects">): string {
  const bytes = objects.find(({ digest }) => digest === root.names.digest)?.bytes;
  return (bytes && readNames(bytes)) ?? "";
}
