import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp, type NamedLookup } from "../../../origin/nix/look-up.ts";
import { parseLookupAnswers } from "../../../origin/nix/lookup-json.ts";
import type { Ending } from "../fixture.ts";
import { derivation, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

const never = AbortSignal.any([]);
const good = derivation("good-1.0", "echo > $out");

// biome-ignore lint/suspicious/noTemplateCurlyInString: Nix's own syntax, which must stay data.
const EXPRESSION = "${builtins.abort 1}";

const SET = `{
  good = ${good};
  git = ${good};
  throwing = throw "it was renamed to good";
  aborting = abort "nothing more to say";
  recursive = let x = x; in x;
  badType = 1 + "a";
  noFile = import ./no-such-file.nix;
  deep = { set = { Package = ${good}; other = ${good}; }; };
  placeholder = { type = "derivation"; name = "ca-1"; outPath = "/1rz4g4znpzjwh1xymhjpm42vipw92pr73"; };
}`;

function said(lookups: readonly NamedLookup[]): Record<string, unknown> {
  return Object.fromEntries(
    lookups.map(({ name, lookup }) => [
      name,
      lookup.kind === "evaluation-failed"
        ? lookup.message
        : "near" in lookup
          ? [lookup.kind, ...lookup.near]
          : lookup.kind,
    ]),
  );
}

describe("lookUp", () => {
  test("answers all names in one evaluation when none of them is harmful", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(onTestFinished, nix, SET);
    started.length = 0;
    const names = ["good", "gti", "deep.set.packge", "deep.set", "good", "deep.set.package"];
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    expect(lookups.map(({ name }) => name)).toStrictEqual(names);
    expect(said(lookups)).toStrictEqual({
      good: "found",
      gti: ["missing", "git"],
      "deep.set.packge": ["missing", "deep.set.package"],
      "deep.set": ["not-a-package", "deep.set.package", "deep.set.other"],
      "deep.set.package": "found",
    });
    expect(started).toStrictEqual(["nix-instantiate"]);
    const [found] = lookups;
    assert(found?.lookup.kind === "found");
    expect(found.lookup.outputs[0]?.path ?? "").toMatch(/^\/nix\/store\/[0-9a-z]{32}-good-1\.0$/);
    expect({ ...found.lookup, outputs: [], derivation: "" }).toStrictEqual({
      kind: "found",
      attribute: "good",
      derivation: "",
      outputs: [],
      name: "good",
      version: "1.0",
      description: null,
      licenses: [],
      mainProgram: null,
      homepage: null,
    });
  });

  test("gives every name its own answer although some end the whole evaluation", async () => {
    const nix = await testNix();
    const source = await packageSet(onTestFinished, nix, SET);
    const names = [
      ...["good", "nosuch", "throwing", "aborting", "recursive", "badtype", "nofile"],
      ...["placeholder", "git", EXPRESSION, "nul\0byte", "lone\ud800"],
    ];
    const answers = said(await lookUp(nix, source, SYSTEM, names, never));
    expect(Object.keys(answers)).toStrictEqual(names);
    expect(answers.good).toBe("found");
    expect(answers.git).toBe("found");
    expect(answers.nosuch).toStrictEqual(["missing", "nofile"]);
    expect(answers.throwing).toBe("it was renamed to good");
    expect(String(answers.aborting)).toMatch(/nothing more to say/);
    expect(String(answers.recursive)).toMatch(/infinite recursion/);
    expect(String(answers.badtype)).toMatch(/cannot (add|coerce)/);
    expect(String(answers.nofile)).toMatch(/no-such-file\.nix/);
    expect(String(answers.placeholder)).toMatch(/not known before it is built/);
    expect((answers[EXPRESSION] as readonly string[])[0]).toBe("missing");
    expect(answers["nul\0byte"]).not.toBe("found");
    expect(answers["lone\ud800"]).not.toBe("found");
  });

  test("names the package that the set refuses where another one needs it", async () => {
    const nix = await testNix();
    const refusing =
      'throw "Package ‘tool-0.9’ in /x.nix:1 is marked as broken, refusing to evaluate."';
    const named = (name: string) =>
      `{ type = "derivation"; name = "${name}"; outPath = ${refusing}; }`;
    const source = await packageSet(
      onTestFinished,
      nix,
      `{ tool = ${named("tool-0.9")}; needy = ${named("needy-1.0")}; }`,
    );
    const [own, other] = await lookUp(nix, source, SYSTEM, ["tool", "needy"], never);
    expect(own?.lookup).toStrictEqual({ kind: "broken" });
    expect(other?.lookup).toStrictEqual({ kind: "broken", dependency: "tool-0.9" });
  });

  test("narrows down the one name that takes the others down, in few evaluations", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      onTestFinished,
      nix,
      `builtins.listToAttrs (builtins.genList (n: { name = "p\${toString n}"; value = ${good}; }) 64)
        // { p37 = abort "nothing more to say"; }`,
    );
    started.length = 0;
    const names = Array.from({ length: 64 }, (_, index) => `p${index}`);
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    expect(
      lookups.filter(({ lookup }) => lookup.kind !== "found").map(({ name }) => name),
    ).toStrictEqual(["p37"]);
    expect(started.length, `${started.length} evaluations`).toBeLessThanOrEqual(14);
  });

  test("asks why of some names only where many do not evaluate", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      onTestFinished,
      nix,
      `builtins.listToAttrs (builtins.genList
        (n: { name = "p\${toString n}"; value = throw "renamed"; }) 40)`,
    );
    started.length = 0;
    const names = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const messages = Object.values(said(await lookUp(nix, source, SYSTEM, names, never)));
    expect(messages.filter((message) => message === "renamed")).toHaveLength(16);
    expect(messages.filter((message) => /^only 16 names/.test(String(message)))).toHaveLength(24);
    expect(started).toHaveLength(17);
  });

  test("asks a source that does not load twice, however many names there are", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(onTestFinished, nix, "{ system }: { syntax error");
    started.length = 0;
    const answers = said(await lookUp(nix, source, SYSTEM, ["a", "b", "c", "d"], never));
    expect(started).toHaveLength(2);
    expect(new Set(Object.values(answers)).size).toBe(1);
    expect(answers.a).toBe("set-failed");
  });

  test("finds a name among 25,000, in any case, and suggests one for a typing error", async () => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      onTestFinished,
      nix,
      `builtins.listToAttrs (builtins.genList
        (n: { name = "package-Number-\${toString n}"; value = throw "never asked for"; }) 25000)
        // { Wanted = ${good}; }`,
    );
    started.length = 0;
    const names = ["wanted", "package-number-24999x", "qqqqq"];
    const answers = said(await lookUp(nix, source, SYSTEM, names, never));
    expect(started).toHaveLength(1);
    expect(answers.wanted).toBe("found");
    expect(answers.qqqqq).toStrictEqual(["missing"]);
    const near = answers["package-number-24999x"] as readonly string[];
    expect(near.slice(0, 2)).toStrictEqual(["missing", "package-number-24999"]);
  });

  test("splits more names than one argument can carry", async () => {
    const nix = await testNix();
    const source = await packageSet(onTestFinished, nix, SET);
    const names = Array.from({ length: 450 }, (_, n) => `${"x".repeat(300)}${n}`).concat("good");
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    expect(lookups).toHaveLength(451);
    expect(lookups.at(-1)?.lookup.kind).toBe("found");
  });

  test("says that it was cancelled, or that the deadline has passed, for each name", async () => {
    const source = await packageSet(onTestFinished, await testNix(), SET);
    const { nix, become } = await fakeEvaluator(onTestFinished);
    await become("exec sleep 1000");
    const late = await lookUp(nix, source, SYSTEM, ["a", "b"], never);
    const timedOut = { kind: "timed-out", afterMs: 200 };
    expect(late.map(({ lookup }) => lookup)).toStrictEqual([timedOut, timedOut]);
    const [cancelled] = await lookUp(nix, source, SYSTEM, ["b"], AbortSignal.abort());
    expect(cancelled?.lookup).toStrictEqual({ kind: "cancelled" });
  });

  const NEEDS: readonly [words: string, files: Readonly<Record<string, string>>][] = [
    ["the set says", { "lib/minver.nix": '# Expose\n"99.1"\n', "default.nix": "not even Nix" }],
    [
      "a set that it is made of says",
      {
        "default.nix":
          'abort "\n\n  This version of Nixpkgs requires Nix >= 99.1, please upgrade:"',
      },
    ],
  ];
  test.for(NEEDS)(
    "says of all names at once that Nix is too old, where %s so",
    async ([, files]) => {
      const started: string[] = [];
      const nix = await testNix({ onSpawn: (program) => started.push(program) });
      const source = await packageSet(onTestFinished, nix, "", files);
      started.length = 0;
      const lookups = await lookUp(nix, source, SYSTEM, ["a", "b", "c"], never);
      const tooOld = { kind: "nix-too-old", version: nix.version, needed: "99.1" };
      expect(lookups.map(({ lookup }) => lookup)).toStrictEqual([tooOld, tooOld, tooOld]);
      // All together, and then the set alone.
      expect(started).toHaveLength(2);
    },
  );

  test("evaluates a set whose file says something else than a version", async () => {
    const nix = await testNix();
    const files = { "lib/minver.nix": "{ newest = true; }" };
    const source = await packageSet(onTestFinished, nix, SET, files);
    const [found] = await lookUp(nix, source, SYSTEM, ["good"], never);
    expect(found?.lookup.kind).toBe("found");
  });

  const faults: readonly (readonly [what: string, set: string, message: RegExp, place: RegExp])[] =
    [
      [
        "is cut short",
        "{\n  a = 1;\n  b =\n",
        /^syntax error, unexpected end of file/,
        /^default\.nix:[34]:/,
      ],
      ["names nothing", "\n  nonsense", /^undefined variable 'nonsense'$/, /^default\.nix:2:3$/],
      [
        "aborts",
        "\nif true then abort ''requires Nix >= 2.99'' else { }",
        /requires Nix >= 2\.99/,
        /^default\.nix:2(:14)?$/,
      ],
      [
        "is none",
        "\n42",
        /^the package source gives a int where a set of packages is needed$/,
        /^$/,
      ],
    ];
  for (const names of [["a"], ["a", "b", "c"]]) {
    test.each(faults)(
      `says of a set that %s that it is the set, of ${names.length} asked`,
      async (...row) => {
        const [, set, message, place] = row;
        const nix = await testNix();
        const source = await packageSet(onTestFinished, nix, set);
        for (const { lookup } of await lookUp(nix, source, SYSTEM, names, never)) {
          assert(lookup.kind === "set-failed", JSON.stringify(lookup));
          expect(lookup.message).toMatch(message);
          expect(lookup.place ?? "").toMatch(place);
        }
      },
    );
  }

  test("says of a set for other systems that it does not support this one", async () => {
    const nix = await testNix();
    const source = await packageSet(onTestFinished, nix, "{ packages.mips64-linux.a = { }; }");
    const [a] = await lookUp(nix, source, SYSTEM, ["a"], never);
    expect(a?.lookup).toStrictEqual({ kind: "unsupported", system: SYSTEM });
  });

  test("reports a Nix that is killed, and throws when it cannot be understood", async () => {
    const source = await packageSet(onTestFinished, await testNix(), SET);
    const { nix, become } = await fakeEvaluator(onTestFinished, 60_000);
    await become("kill -KILL $$");
    const [killed] = await lookUp(nix, source, SYSTEM, ["a"], never);
    expect(killed?.lookup).toStrictEqual({
      kind: "host-failed",
      reason: "an evaluation was ended by SIGKILL, most likely for want of memory",
    });
    await become(`echo '{"lookups":[{"kind":"new"}],"members":[]}'`);
    await expect(lookUp(nix, source, SYSTEM, ["a"], never)).rejects.toThrow();
    await become("echo warning");
    await expect(lookUp(nix, source, SYSTEM, ["a"], never)).rejects.toThrow(SyntaxError);
  });
});

/** A Nix whose nix-instantiate does what no package set can make the real one do. */
async function fakeEvaluator(onEnd: Ending, evaluationDeadlineMs = 200) {
  const dir = await tempDir(onEnd);
  const nix = await testNix({
    evaluationDeadlineMs,
    env: { PATH: `${dir}:${process.env.PATH}` },
  });
  const become = (script: string) =>
    writeFile(join(dir, "nix-instantiate"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { nix, become };
}

describe("parseLookupAnswers", () => {
  test("reads a set with an attribute that JavaScript treats specially", () => {
    const json = JSON.parse(
      '{"lookups":[{"kind":"missing","within":["__proto__"],"component":"gti"}],"members":[{"within":["__proto__"],"names":["git"]}]}',
    );
    expect(parseLookupAnswers(json, ["__proto__.gti"])).toStrictEqual([
      { kind: "missing", near: ["__proto__.git"] },
    ]);
  });

  test("refuses another number of answers than names", () => {
    expect(() => parseLookupAnswers({ lookups: [], members: [] }, ["a"])).toThrow();
  });
});
