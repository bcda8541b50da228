import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { askLoadFailure } from "../../../origin/nix/evaluate.ts";
import { lookUp, type NamedLookup } from "../../../origin/nix/look-up.ts";
import { parseLookupAnswers } from "../../../origin/nix/lookup-json.ts";
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
  test("answers all names in one evaluation when none of them is harmful", async (t) => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(t, nix, SET);
    started.length = 0;
    const names = ["good", "gti", "deep.set.packge", "deep.set", "good", "deep.set.package"];
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    assert.deepEqual(
      lookups.map(({ name }) => name),
      names,
    );
    assert.deepEqual(said(lookups), {
      good: "found",
      gti: ["missing", "git"],
      "deep.set.packge": ["missing", "deep.set.Package"],
      "deep.set": ["not-a-package", "deep.set.Package", "deep.set.other"],
      "deep.set.package": "found",
    });
    assert.deepEqual(started, ["nix-instantiate"]);
    const [found] = lookups;
    assert(found?.lookup.kind === "found");
    assert.match(found.lookup.outputs[0]?.path ?? "", /^\/nix\/store\/[0-9a-z]{32}-good-1\.0$/);
    assert.deepEqual(
      { ...found.lookup, outputs: [], derivation: "" },
      {
        kind: "found",
        attribute: "good",
        derivation: "",
        outputs: [],
        name: "good",
        version: "1.0",
        description: null,
        licenses: [],
        mainProgram: null,
      },
    );
  });

  test("gives every name its own answer although some end the whole evaluation", async (t) => {
    const nix = await testNix();
    const source = await packageSet(t, nix, SET);
    const names = [
      ...["good", "nosuch", "throwing", "aborting", "recursive", "badtype", "nofile"],
      ...["placeholder", "git", EXPRESSION, "nul\0byte", "lone\ud800"],
    ];
    const answers = said(await lookUp(nix, source, SYSTEM, names, never));
    assert.deepEqual(Object.keys(answers), names);
    assert.equal(answers.good, "found");
    assert.equal(answers.git, "found");
    assert.deepEqual(answers.nosuch, ["missing", "noFile"]);
    assert.equal(answers.throwing, "it was renamed to good");
    assert.match(String(answers.aborting), /nothing more to say/);
    assert.match(String(answers.recursive), /infinite recursion/);
    assert.match(String(answers.badtype), /cannot (add|coerce)/);
    assert.match(String(answers.nofile), /no-such-file\.nix/);
    assert.match(String(answers.placeholder), /not known before it is built/);
    assert.equal((answers[EXPRESSION] as readonly string[])[0], "missing");
    assert.notEqual(answers["nul\0byte"], "found");
    assert.notEqual(answers["lone\ud800"], "found");
  });

  test("names the package that the set refuses where another one needs it", async (t) => {
    const nix = await testNix();
    const refusing =
      'throw "Package ‘tool-0.9’ in /x.nix:1 is marked as broken, refusing to evaluate."';
    const named = (name: string) =>
      `{ type = "derivation"; name = "${name}"; outPath = ${refusing}; }`;
    const source = await packageSet(
      t,
      nix,
      `{ tool = ${named("tool-0.9")}; needy = ${named("needy-1.0")}; }`,
    );
    const [own, other] = await lookUp(nix, source, SYSTEM, ["tool", "needy"], never);
    assert.deepEqual(own?.lookup, { kind: "broken" });
    assert.deepEqual(other?.lookup, { kind: "broken", dependency: "tool-0.9" });
  });

  test("narrows down the one name that takes the others down, in few evaluations", async (t) => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      t,
      nix,
      `builtins.listToAttrs (builtins.genList (n: { name = "p\${toString n}"; value = ${good}; }) 64)
        // { p37 = abort "nothing more to say"; }`,
    );
    started.length = 0;
    const names = Array.from({ length: 64 }, (_, index) => `p${index}`);
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    assert.deepEqual(
      lookups.filter(({ lookup }) => lookup.kind !== "found").map(({ name }) => name),
      ["p37"],
    );
    assert(started.length <= 14, `${started.length} evaluations`);
  });

  test("asks why of some names only where many do not evaluate", async (t) => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      t,
      nix,
      `builtins.listToAttrs (builtins.genList
        (n: { name = "p\${toString n}"; value = throw "renamed"; }) 40)`,
    );
    started.length = 0;
    const names = Array.from({ length: 40 }, (_, index) => `p${index}`);
    const messages = Object.values(said(await lookUp(nix, source, SYSTEM, names, never)));
    assert.equal(messages.filter((message) => message === "renamed").length, 16);
    assert.equal(messages.filter((message) => /^only 16 names/.test(String(message))).length, 24);
    assert.equal(started.length, 17);
  });

  test("asks a source that does not load twice, however many names there are", async (t) => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(t, nix, "{ system }: { syntax error");
    started.length = 0;
    const answers = said(await lookUp(nix, source, SYSTEM, ["a", "b", "c", "d"], never));
    assert.equal(started.length, 2);
    assert.equal(new Set(Object.values(answers)).size, 1);
    assert.match(String(answers.a), /syntax error/);
  });

  test("finds a name among 25,000, in any case, and suggests one for a typing error", async (t) => {
    const started: string[] = [];
    const nix = await testNix({ onSpawn: (program) => started.push(program) });
    const source = await packageSet(
      t,
      nix,
      `builtins.listToAttrs (builtins.genList
        (n: { name = "package-Number-\${toString n}"; value = throw "never asked for"; }) 25000)
        // { Wanted = ${good}; }`,
    );
    started.length = 0;
    const names = ["wanted", "package-number-24999x", "qqqqq"];
    const answers = said(await lookUp(nix, source, SYSTEM, names, never));
    assert.equal(started.length, 1);
    assert.equal(answers.wanted, "found");
    assert.deepEqual(answers.qqqqq, ["missing"]);
    const near = answers["package-number-24999x"] as readonly string[];
    assert.deepEqual(near.slice(0, 2), ["missing", "package-Number-24999"]);
  });

  test("splits more names than one argument can carry", async (t) => {
    const nix = await testNix();
    const source = await packageSet(t, nix, SET);
    const names = Array.from({ length: 450 }, (_, n) => `${"x".repeat(300)}${n}`).concat("good");
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    assert.equal(lookups.length, 451);
    assert.equal(lookups.at(-1)?.lookup.kind, "found");
  });

  test("says that it was cancelled, or that the deadline has passed, for each name", async (t) => {
    const source = await packageSet(t, await testNix(), SET);
    const { nix, become } = await fakeEvaluator(t);
    await become("exec sleep 1000");
    const late = await lookUp(nix, source, SYSTEM, ["a", "b"], never);
    const timedOut = { kind: "timed-out", afterMs: 200 };
    assert.deepEqual(
      late.map(({ lookup }) => lookup),
      [timedOut, timedOut],
    );
    const [cancelled] = await lookUp(nix, source, SYSTEM, ["b"], AbortSignal.abort());
    assert.deepEqual(cancelled?.lookup, { kind: "cancelled" });
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
  for (const [words, files] of NEEDS) {
    test(`says of all names at once that Nix is too old, where ${words} so`, async (t) => {
      const started: string[] = [];
      const nix = await testNix({ onSpawn: (program) => started.push(program) });
      const source = await packageSet(t, nix, "", files);
      started.length = 0;
      const lookups = await lookUp(nix, source, SYSTEM, ["a", "b", "c"], never);
      const tooOld = { kind: "nix-too-old", version: nix.version, needed: "99.1" };
      assert.deepEqual(
        lookups.map(({ lookup }) => lookup),
        [tooOld, tooOld, tooOld],
      );
      // All together, and then the set alone.
      assert.equal(started.length, 2);
    });
  }

  test("evaluates a set whose file says something else than a version", async (t) => {
    const nix = await testNix();
    const files = { "lib/minver.nix": "{ newest = true; }" };
    const source = await packageSet(t, nix, SET, files);
    const [found] = await lookUp(nix, source, SYSTEM, ["good"], never);
    assert.equal(found?.lookup.kind, "found");
  });

  test("says why a set does not load, and where", async (t) => {
    const nix = await testNix();
    const broken = await packageSet(t, nix, "{\n  a = 1;\n  b =\n");
    const failure = await askLoadFailure({ nix, source: broken, system: SYSTEM, signal: never });
    assert.match(failure?.message ?? "", /^syntax error, unexpected end of file/);
    assert.match(failure?.place ?? "", /^default\.nix:[34]:/);
    const unknown = await packageSet(t, nix, "\n  nonsense");
    const other = await askLoadFailure({ nix, source: unknown, system: SYSTEM, signal: never });
    assert.deepEqual(
      [other?.message, other?.place],
      ["undefined variable 'nonsense'", "default.nix:2:3"],
    );
    const sound = await packageSet(t, nix, "{ a = throw ''its own''; }");
    assert.equal(
      await askLoadFailure({ nix, source: sound, system: SYSTEM, signal: never }),
      undefined,
    );
  });

  test("reports a Nix that is killed, and throws when it cannot be understood", async (t) => {
    const source = await packageSet(t, await testNix(), SET);
    const { nix, become } = await fakeEvaluator(t, 60_000);
    await become("kill -KILL $$");
    const [killed] = await lookUp(nix, source, SYSTEM, ["a"], never);
    assert.deepEqual(killed?.lookup, {
      kind: "evaluation-failed",
      message: "the evaluation ended with SIGKILL",
    });
    await become(`echo '{"lookups":[{"kind":"new"}],"members":{}}'`);
    await assert.rejects(lookUp(nix, source, SYSTEM, ["a"], never));
    await become("echo warning");
    await assert.rejects(lookUp(nix, source, SYSTEM, ["a"], never), SyntaxError);
  });
});

/** A Nix whose nix-instantiate does what no package set can make the real one do. */
async function fakeEvaluator(t: TestContext, evaluationDeadlineMs = 200) {
  const dir = await tempDir(t);
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
      '{"lookups":[{"kind":"missing","within":"__proto__","component":"gti"}],"members":{"__proto__":["git"]}}',
    );
    assert.deepEqual(parseLookupAnswers(json, 1), [{ kind: "missing", near: ["__proto__.git"] }]);
  });

  test("refuses another number of answers than names", () => {
    assert.throws(() => parseLookupAnswers({ lookups: [], members: {} }, 1));
  });
});
