// A thousand hostile names given to the real Nix: names are data, whatever they say.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import { attributeName, exactSpelling } from "../../../registry/naming/attribute.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { createRandom, hostileText, pick, plainWord } from "../../hostile-text.ts";
import { derivation, packageSet, SYSTEM, tempDir, testNix } from "./fixture.ts";

const NAMES = 1000;
const ATTRIBUTES = 1000;
const SEED = 4711;
const never = AbortSignal.any([]);
const good = derivation("good-1.0", "echo > $out");
const SET = `{ good = ${good}; set.inner = ${good}; function = x: x; text = "text"; list = [ ]; }`;

/** What would leave a trace in `place` or in the store if anyone ran, evaluated or opened it. */
function traps(place: string): readonly string[] {
  const file = join(place, "trap");
  const inNix = [
    `builtins.toFile "hostile-name-trap" "sprung"`,
    `builtins.exec [ "touch" "${file}" ]`,
    `builtins.fetchurl "file:///etc/passwd"`,
    `import "${file}"`,
    "abort 1",
  ];
  const inShell = [`touch ${file}`, `> ${file}`, `id | tee ${file}`];
  return [
    ...inNix.flatMap((code) => [code, `\${${code}}`, `"; ${code}; "`, `'' + ${code} + ''`]),
    ...inNix.map((code) => `good.\${${code}}`),
    ...inShell.flatMap((code) => [`$(${code})`, `\`${code}\``, `; ${code}`, `"; ${code}; "`]),
    ...[`--out-link ${file}`, `--add-root ${file}`, "--option", "-I", `-I nixpkgs=${place}`],
    ...["--arg", "--argstr source x", "--eval", "-E", "--expr", "/etc/passwd", "<nixpkgs>"],
    ...["good\ngood", "good\0", "\0good", "good\ud800", "\udc00", "\ufffe", "a".repeat(5000)],
    ...[
      ".".repeat(500),
      "good.".repeat(100),
      "set.inner.outPath",
      "text.x",
      "function.x",
      "list.0",
    ],
    ...["__proto__", "constructor", "toString", "__functor", "", " ", ".", "..", "good.."],
  ];
}

/** Random ones, of which many look like escapes or break the rules of image names. */
function randomAttributes(): readonly string[] {
  const random = createRandom(SEED);
  const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(index + 32));
  const letters = [printable, [..."--__0247abfAF."]];
  const names = Array.from({ length: ATTRIBUTES }, (_, index) =>
    Array.from({ length: 1 + random.below(8) }, () =>
      pick(random, letters[index % 2] ?? printable),
    ).join(""),
  );
  return [...new Set(names)];
}

describe("lookUp", { timeout: 300_000 }, () => {
  test(`takes ${NAMES} hostile names for names`, async () => {
    const place = await tempDir(onTestFinished);
    const home = await tempDir(onTestFinished);
    const started: { readonly program: string; readonly args: readonly string[] }[] = [];
    const nix = await testNix({
      env: { HOME: home, TMPDIR: home },
      onSpawn: (program, args) => started.push({ program, args }),
    });
    const source = await packageSet(onTestFinished, nix, SET);
    started.length = 0;

    const random = createRandom(SEED);
    const made = Array.from({ length: NAMES }, (_, index) =>
      index % 3 === 0 ? plainWord(random) : hostileText(random),
    );
    const names = [...traps(place), ...made, "good"];
    const passing = made.filter((name) => parseRepository(name).kind === "recipe");
    expect(
      passing.length > NAMES / 4 && passing.length < (3 * NAMES) / 4,
      String(passing.length),
    ).toBe(true);

    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    for (const { name, lookup } of lookups.slice(0, -1)) {
      const said = `${JSON.stringify(name)}: ${JSON.stringify(lookup)}`;
      assert(lookup.kind === "missing" || lookup.kind === "not-a-package", said);
      if (lookup.kind === "not-a-package")
        expect(name, said).toMatch(/^(?:set|function|text|list)\b/);
    }
    expect(lookups.at(-1)?.lookup.kind).toBe("found");

    // No name has cost the others their common evaluation.
    expect(started.length, String(started.length)).toBeLessThanOrEqual(
      Math.ceil(lookups.length / 200),
    );
    for (const { program, args } of started) {
      expect(program).toBe("nix-instantiate");
      expect(args.slice(0, 4)).toStrictEqual(["--eval", "--strict", "--json", "--read-write-mode"]);
      expect(args.length).toBe(started[0]?.args.length);
    }
    expect(await readdir(place)).toStrictEqual([]);
    const traces = (await readdir("/nix/store")).filter((each) =>
      each.includes("hostile-name-trap"),
    );
    expect(traces).toStrictEqual([]);
  });

  test(`finds each of ${ATTRIBUTES} hostile attributes by the name for it`, async () => {
    const nix = await testNix();
    const attributes = randomAttributes();
    const source = await packageSet(
      onTestFinished,
      nix,
      `let good = ${good}; in builtins.listToAttrs (map (name: { inherit name; value = good; })
        (builtins.fromJSON (builtins.readFile ./attributes.json)))`,
      { "attributes.json": JSON.stringify(attributes) },
    );
    const names = attributes.map((attribute) => exactSpelling(attribute) ?? expect.unreachable());
    const lookups = await lookUp(nix, source, SYSTEM, names, never);
    const found = lookups.map(({ lookup }) =>
      lookup.kind === "found" ? lookup.attribute : lookup,
    );
    expect(found).toStrictEqual(attributes.map((attribute) => attributeName([attribute])));
  });
});
