import { assert, describe, expect, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { type AskedSlice, lookUpSlice } from "../../../origin/nix/look-up-slice.ts";
import { parseSliceAnswers } from "../../../origin/nix/lookup-json.ts";
import { exactSpelling } from "../../../registry/naming/attribute.ts";
import { endOfFile } from "../fixture.ts";
import { derivation, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

const atEnd = endOfFile();
const signal = new AbortController().signal;

/** What is built while it is evaluated must not be there from another run. */
const setOf = (salt: string) => `let
  made = name: extra: ${derivation("made-1.0", "echo > $out")} // { inherit name; } // extra;
  hello = ${derivation("hello-1.0", "echo > $out")} // { meta.description = "A greeting"; };
  tools = { recurseForDerivations = true; inherit hello; Upper = ${derivation("upper-2", "echo > $out")};
    thrown = throw "no more"; inner = { recurseForDerivations = true; deep = hello; }; };
  self = {
    inherit hello tools self;
    greeter = hello;
    "a+b" = ${derivation("a-b-3", "echo > $out")};
    chosen = { one = hello; };
    left = { one = hello; };
    refused = ${derivation("refused-1", "echo > $out")} // { outPath = throw "u"; meta.unfree = true; };
    thrown = throw "it is gone";
    function = x: x;
    aborted = abort "for good";
    built = import ${derivation("a-file", "echo '\"said\"' > $out", `salt = "${salt}";`)};
    nixportImages.box = { contents = [ hello ]; };
  };
in self`;

describe("lookUpSlice", { timeout: 60_000 }, async () => {
  const nix = await testNix();
  const source = await packageSet(atEnd, nix, setOf(await tempDir(atEnd)));
  const evaluation = { nix, source, system: SYSTEM, signal };
  const limits = { sets: [["chosen"]], mostNames: 100, mostDeep: 2 };
  const ask = (groups: AskedSlice["groups"], isStrict = false) =>
    lookUpSlice(evaluation, { groups, ...limits }, { isStrict });

  test("tells which attributes the set has, and what of it is a whole image", async () => {
    const answer = await ask([]);
    assert(answer.kind === "said");
    const { top, images } = parseSliceAnswers(JSON.parse(answer.json), []);
    expect(top).toContain("a+b");
    expect(images).toStrictEqual(["box"]);
  });

  test("says of each attribute what a lookup of its name says, and which sets have more", async () => {
    const groups = [
      {
        set: [],
        names: ["hello", "greeter", "a+b", "refused", "function", "tools", "chosen", "left"],
      },
      { set: ["tools"], names: ["Upper", "hello", "inner"] },
    ];
    const paths = groups.flatMap(({ set, names }) => names.map((name) => [...set, name]));
    const answer = await ask(groups);
    assert(answer.kind === "said");
    const { entries, sets } = parseSliceAnswers(JSON.parse(answer.json), paths);
    const names = paths.map((path) => path.map((part) => exactSpelling(part)).join("."));
    const looked = await lookUp(nix, source, SYSTEM, names, signal);
    const named = (said: object) => ("near" in said ? { ...said, near: null } : said);
    expect(entries.map(({ said }) => named(said))).toStrictEqual(
      looked.map(({ lookup }) => named(lookup)),
    );
    expect(sets.map(({ path, isListed }) => [path.join("."), isListed])).toStrictEqual([
      ["tools", true],
      ["chosen", true],
      ["left", false],
      // It asks for it, and lies too deep.
      ["tools.inner", false],
    ]);
  });

  test("says at which attribute it ended, and why where it is asked for that alone", async () => {
    const groups = [{ set: [], names: ["hello", "thrown", "aborted", "greeter"] }];
    const died = await ask(groups);
    expect(died).toMatchObject({ kind: "died", at: { group: 0, name: 2 } });
    expect(await ask([{ set: [], names: ["thrown"] }], true)).toMatchObject({
      ...{ kind: "died", message: "it is gone" },
    });
  });

  test("writes no derivation, and so builds nothing, unless it is asked why", async () => {
    const groups = [{ set: [], names: ["built"] }];
    expect(await ask(groups)).toMatchObject({ kind: "died", at: { group: 0, name: 0 } });
    const again = await ask(groups, true);
    assert(again.kind === "said", JSON.stringify(again));
    const [built] = parseSliceAnswers(JSON.parse(again.json), [["built"]]).entries;
    expect(built?.said).toMatchObject({ kind: "not-a-package", what: "string" });
  });
});
