// What a name means by an index is what Nix says of it, or nothing: every way to write every attribute of a
// set that is made to be misread, looked up both ways.

import { assert, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import type { PinnedSource } from "../../../origin/nix/pinned-source.ts";
import { parseJson } from "../../../registry/http/json.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { attributeName, exactSpelling } from "../../../registry/naming/attribute.ts";
import { parsePin } from "../../../registry/naming/pin.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { canBeNamed } from "../../../registry/package-index/fold.ts";
import { type MadeIndex, makeIndex } from "../../../registry/package-index/make-index.ts";
import { namesIn, readNames } from "../../../registry/package-index/names.ts";
import { answer, lookupOf, plan, setOf } from "../../../registry/package-index/resolve.ts";
import type { IndexedSet } from "../../../registry/package-index/root.ts";
import { type IndexEntry, readShard } from "../../../registry/package-index/shard.ts";
import { derivation, packageSet, SYSTEM, testNix } from "./fixture.ts";

const nix = await testNix();
const never = AbortSignal.any([]);

const package_ = (name: string, extra = "", meta = "") =>
  `(${derivation(name, "echo > $out", extra)} // { meta = { ${meta} }; })`;
const listed = "recurseForDerivations = true;";

const SET = `let self = {
  hello = ${package_("hello-1")}; Hello = ${package_("hello-2")}; alias = self.hello;
  tls = ${package_("tls-1", 'outputs = [ "out" "bin" "dev" ];', 'outputsToInstall = [ "bin" ];')};
  "gtk+" = ${package_("gtk-1")}; "0+" = ${package_("plus-1")}; "--2b" = ${package_("dashes-1")};
  _foo = ${package_("foo-1")}; "ruamel.yaml" = ${package_("ruamel-1")}; "é" = ${package_("e-1")};
  ruamel.yaml = ${package_("ruamel-3")};
  _7zz = ${package_("zz-1")}; "7ZZ" = ${package_("zz-2")}; _8z = ${package_("z-8")}; __9z = ${package_("z-9")};
  h = { ${listed} Foo = ${package_("h-1")}; fOO = ${package_("h-2")}; _1st = ${package_("h-3")};
    "a.b" = ${package_("h-4")}; bare = 5;
    deep = { ${listed} thing = ${package_("d-1")}; plain.x = ${package_("d-2")}; }; };
  Clash = { ${listed} a = ${package_("c-1")}; }; clash = ${package_("c-2")} // { b = ${package_("c-3")}; };
  Two = { ${listed} inner = ${package_("two-1")}; }; tWo = { ${listed} inner = ${package_("two-2")}; };
  Only = { ${listed} tool = ${package_("only-1")}; };
  hidden.tool = ${package_("hidden-1")};
  again = { ${listed} again = self.again; z = ${package_("again-1")}; };
  pkgs = self // { recurseForDerivations = false; };
  fn = x: x; str = "text"; list = [ ]; empty = { ${listed} };
  lost = throw "not today"; lostSet = { ${listed} fails = throw "nor this"; };
  unfree = { type = "derivation"; name = "u-1"; outPath = throw "no"; meta.license.free = false; };
  elsewhere = ${package_("else-1")} // { system = "riscv64-linux"; };
  nixportImages = { site = { contents = [ self.hello ]; }; tls = { contents = [ ]; }; };
}; in self`;

/** Beside those that are made of the attributes. */
const MORE = [
  ...[
    "helo",
    "ruamel.yam",
    "h.foo",
    "h.fooo",
    "h.nothing.at.all",
    "h.deep.thin",
    "nothing.x",
    "site",
  ],
  ...[
    "hidden.tol",
    "again.again.z",
    "again.again.nothing",
    "pkgs.hello",
    "pkgs.h.foo",
    "pkgs.nothing",
  ],
  ...[
    "two.inner",
    "two.other",
    "only.tool",
    "only.tol",
    "only",
    "clash.b",
    "clash.a",
    "0--43lash.b",
  ],
  ...[
    "fn.x",
    "str.x",
    "lost.x",
    "unfree.x",
    "hello.out",
    "tls.dev",
    "8z",
    "9z",
    "h.1st",
    "h.deep.plain",
  ],
  ...[
    "empty",
    "empty.x",
    "lostset.fail",
    "alia",
    "7z",
    "ruamel--2eyam",
    "a.b",
    "h.a.b",
    "h.a--2ec",
  ],
];

test("an index says of a name what Nix says, or nothing", { timeout: 120_000 }, async () => {
  const source = await packageSet(onTestFinished, nix, SET);
  const attributes = await attributesOf(nix, source);
  const index = await indexOf(source, attributes);
  const names = [
    ...new Set([...attributes.flatMap(({ path }) => spellings(path)), ...MORE]),
  ].filter((name) => parseRepository(name).kind === "recipe");
  const told = new Map(names.map((name) => [name, meaning(index, name)]));
  const asked = names.filter((name) => told.get(name) !== undefined);
  const said = await lookedUp(source, asked);
  for (const [at, name] of asked.entries()) {
    expect([name, kindOf(told.get(name))]).toStrictEqual([name, kindOf(said[at])]);
  }
  expect(asked.length).toBeGreaterThan(names.length / 2);
  const unknown = names.filter((name) => told.get(name) === undefined);
  for (const name of [
    "hello",
    "8z",
    "h.deep.thin",
    "only.tool",
    "helo",
    "empty",
    "unfree",
    "h",
    "0--48ello",
  ]) {
    expect(unknown).not.toContain(name);
  }
  for (const name of [
    "site",
    "tls",
    "two.inner",
    "clash.b",
    "hello.out",
    "pkgs.hello",
    "lost.x",
    "7zz",
  ]) {
    expect(unknown).toContain(name);
  }
});

/** What an evaluation says beside that it failed is cut, and asked of few names at a time. */
function kindOf(lookup: Lookup | undefined): unknown {
  return lookup?.kind === "evaluation-failed" ? lookup.kind : lookup;
}

async function lookedUp(
  source: PinnedSource,
  names: readonly string[],
): Promise<readonly Lookup[]> {
  const lookups = await lookUp(nix, source, SYSTEM, names, never);
  return lookups.map(({ lookup }) => lookup as Lookup);
}

interface Attribute {
  readonly path: readonly string[];
  readonly kind: "set" | "listed" | "other";
}

const WALK = `file: let
  inherit (builtins) attrNames concatLists isAttrs map tryEval;
  kindOf = value: let tried = tryEval value; in
    if ! tried.success || ! isAttrs tried.value || tried.value.type or null == "derivation" then "other"
    else if tried.value.recurseForDerivations or false then "listed" else "set";
  walk = path: set: concatLists (map (name: let
    own = path ++ [ name ];
    kind = kindOf set.\${name};
    in [ { path = own; inherit kind; } ]
      ++ (if kind == "listed" && builtins.length own < 3 then walk own set.\${name} else [ ]))
    (attrNames set));
in walk [ ] (import file)`;

async function attributesOf(nix: NixTool, source: PinnedSource): Promise<readonly Attribute[]> {
  assert(source.kind === "path");
  const expression = `(${WALK}) ${source.path}/default.nix`;
  const result = await nix.run(
    "nix-instantiate",
    ["--eval", "--strict", "--json", "--read-write-mode", "-E", expression],
    { deadlineMs: 60_000 },
  );
  assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
  return JSON.parse(result.stdout);
}

async function indexOf(source: PinnedSource, all: readonly Attribute[]): Promise<MadeIndex> {
  const attributes = all.filter(({ path }) => canBeNamed(path));
  const sets = attributes.flatMap(({ path, kind }): IndexedSet[] =>
    kind === "other"
      ? []
      : [{ path: attributeName(path), isListed: kind === "listed" && path.length < 3 }],
  );
  const others = attributes.filter(({ kind }) => kind === "other");
  const lookups = await lookedUp(
    source,
    others.map(({ path }) => path.map(exactSpelling).join(".")),
  );
  const entries = others.flatMap(({ path }, at): IndexEntry[] => {
    const said = lookups[at];
    return said === undefined ? [] : [{ attribute: attributeName(path), said }];
  });
  const pin = parsePin("a".repeat(40));
  assert(pin !== undefined && (SYSTEM === "x86_64-linux" || SYSTEM === "aarch64-linux"));
  const of = { pin, system: SYSTEM, isComplete: true, madeAtMs: 0 } as const;
  return makeIndex({ ...of, images: ["site", "tls"], sets, entries });
}

/** Exactly, in small letters, without the underscore before a digit, with more behind it, and almost. */
function spellings(path: readonly string[]): readonly string[] {
  const exact = path.map((part) => exactSpelling(part) ?? part).join(".");
  const lower = path.map((part) => part.toLowerCase()).join(".");
  const short = path.map((part) => part.toLowerCase().replace(/^_(?=[0-9])/, "")).join(".");
  return [exact, lower, short, `${short}.out`, `${short}x`, short.slice(0, -1)];
}

function meaning({ root, objects }: MadeIndex, name: string): Lookup | undefined {
  const planned = plan(root, name);
  if (planned.kind === "unknown") return undefined;
  const bytesOf = (digest: string | undefined) =>
    objects.find((object) => object.digest === digest)?.bytes;
  const bytes = bytesOf(planned.shard?.digest);
  const said = answer(root, planned, bytes && readShard(parseJson(bytes)));
  if (said.kind === "unknown") return undefined;
  if (said.kind === "said") return said.lookup;
  const names = readNames(bytesOf(root.names.digest) ?? new Uint8Array());
  assert(names !== undefined);
  return lookupOf(root, said, namesIn(names, setOf(said)));
}
