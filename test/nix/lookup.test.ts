import { assert, describe, expect, onTestFinished, test } from "vitest";
import {
  derivation,
  evaluateLookup,
  OTHER_SYSTEM,
  packageSet,
  SYSTEM,
  testNix,
} from "../origin/nix/fixture.ts";

const nix = await testNix();

function package_(name: string, extra = "", meta = ""): string {
  return `(${derivation(name, "echo > $out", extra)} // { meta = { ${meta} }; })`;
}

// As nixpkgs does it: what identifies the package can be read, but not what would build it.
function refused(meta: string): string {
  return `(let drv = ${derivation("refused-1", "echo > $out")}; in drv // {
    drvPath = throw "refused"; outPath = throw "refused"; meta = { ${meta} }; })`;
}

const SET = `
rec {
  plain = ${package_("plain-1.2")};
  _7zz = ${package_("7zz-22")};
  "_2Fast" = ${package_("two-fast-1")};
  "4exact" = ${package_("four-exact-1")};
  _4exact = { out = plain; };
  bashInteractive = ${package_("bash-interactive-5")};
  SAME = ${package_("same-upper")};
  Same = ${package_("same-mixed")};
  same = ${package_("same-lower")};
  Tie = ${package_("tie-b")};
  TIe = ${package_("tie-a")};
  haskellPackages = { ShellCheck = ${package_("ShellCheck-0.9")}; shake = plain; _1st = plain; };
  python = { Deeper = { PyYAML = ${package_("PyYAML-6")}; broken = throw "sibling"; }; };
  twin = { only = 1; };
  Twin = { Package = ${package_("twin-1")}; };
  thrown = throw "renamed";
  throwing = { inherit thrown; inside = throw "deep"; };
  badType = throw "no type" // { type = "derivation"; };
  typeThrows = { type = throw "what am I"; a = plain; b = plain; };
  aFunction = x: x;
  aString = "text";
  aList = [ plain ];
  aNull = null;
  error = ${package_("error-1")};
  hasError = ${package_("has-error-1")} // { error = "an attribute like any other"; };
  __functor = self: self;
  noName = { type = "derivation"; outPath = plain.outPath; drvPath = plain.drvPath; };
  outOnly = { type = "derivation"; name = "out-only-1"; inherit (plain) outPath; };
  failsLate = ${derivation("late-1", "echo > $out")} // { outPath = throw "late"; };
  foreign = derivation { name = "foreign"; system = "${OTHER_SYSTEM}"; builder = "/bin/sh"; };
  fetched = derivation { name = "fetched"; system = "builtin"; builder = "builtin:fetchurl";
    url = "file:///dev/null"; outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "0000000000000000000000000000000000000000000000000000000000000000"; };
  many = ${package_(
    "many-1",
    'outputs = [ "bin" "dev" "out" "man" ];',
    'outputsToInstall = [ "bin" "man" "out" "gone" ];',
  )};
  manNoMeta = ${package_("many-2", 'outputs = [ "bin" "out" ];')};
  docsOnly = ${package_("docs-1", 'outputs = [ "out" "man" ];', 'outputsToInstall = [ "man" ];')};
  specified = many.out // { outputSpecified = true; };
  facts = ${package_(
    "facts-full-name-3",
    'pname = "facts"; version = "3.1";',
    `description = "Says \\"all\\""; mainProgram = "fact"; homepage = [ "https://facts.example" "https://more.example" ];
     license = [ { spdxId = "MIT"; free = true; } { shortName = "own"; } "words" { fullName = "Full"; } ];`,
  )};
  oneLicense = ${package_("one-1", "", 'license = { spdxId = "GPL-2.0-only"; };')};
  badMeta = ${package_("bad-meta-1", "", 'description = throw "d"; license = throw "l"; mainProgram = 3; homepage = throw "h"; outputsToInstall = throw "o";')};
  noMeta = ${derivation("no-meta-1", "echo > $out")} // { meta = throw "m"; };
  unfree = ${refused('unfree = true; license = { spdxId = "LicenseRef-X"; free = false; };')};
  unfreeLicense = ${refused('license = [ { shortName = "unfree"; free = false; } ];')};
  unfreeAllowed = ${package_("unfree-allowed-1", "", "unfree = true; broken = true; insecure = true;")};
  broken = ${refused("broken = true;")};
  insecure = ${refused('knownVulnerabilities = [ "CVE-1" "CVE-2" ]; insecure = true;')};
  unsupported = ${refused("unsupported = true;")};
  elsewhere = ${refused(`platforms = [ "${OTHER_SYSTEM}" ];`)};
  unfreeDependency = ${refused("")};
}`;

describe("lookup.nix", async () => {
  let asked: ReturnType<typeof evaluateLookup> | undefined;
  const names = (rows: readonly (readonly [string, ...unknown[]])[]) => rows.map(([name]) => name);

  const found: readonly (readonly [name: string, attribute: string])[] = [
    ["plain", "plain"],
    ["7zz", "_7zz"],
    ["2fast", "_2Fast"],
    ["4exact", "4exact"],
    ["bashinteractive", "bashInteractive"],
    ["same", "same"],
    ["SAME", "SAME"],
    ["0--53--41--4d--45", "SAME"],
    ["0--53ame", "Same"],
    ["0--54ie", "Tie"],
    ["0--5f7zz", "_7zz"],
    ["0--5f4exact.out", "_4exact.out"],
    ["haskellPackages.ShellCheck", "haskellPackages.ShellCheck"],
    ["haskellpackages.shellcheck", "haskellPackages.ShellCheck"],
    ["haskellpackages.1st", "haskellPackages._1st"],
    ["python.deeper.pyyaml", "python.Deeper.PyYAML"],
    ["twin.package", "Twin.Package"],
    ["error", "error"],
    ["haserror", "hasError"],
    ["many.dev", "many.dev"],
    ["typethrows.a", "typeThrows.a"],
  ];
  for (const [index, [name, attribute]] of found.entries()) {
    test(`finds ${attribute} for ${name}`, async () => {
      asked ??= packageSet(onTestFinished, nix, SET).then((set) =>
        evaluateLookup(nix, set, names(found)),
      );
      const { lookups } = await asked;
      expect(lookups[index]?.kind, JSON.stringify(lookups[index])).toBe("found");
      expect(lookups[index]?.attribute).toStrictEqual(attribute.split("."));
    });
  }

  const others: readonly (readonly [name: string, said: object])[] = [
    ["nosuch", { kind: "missing", within: [], component: "nosuch" }],
    [
      "haskellpackages.nosuch",
      { kind: "missing", within: ["haskellPackages"], component: "nosuch" },
    ],
    ["twin.nosuch", { kind: "missing", within: ["twin"], component: "nosuch" }],
    ["astring.length", { kind: "missing", within: ["aString"], component: "length" }],
    ["a..b", { kind: "missing", within: [], component: "a" }],
    ["python..b", { kind: "missing", within: ["python"], component: "" }],
    ["", { kind: "missing", within: [], component: "" }],
    [".", { kind: "missing", within: [], component: "" }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Nix's own syntax that must stay data
    ["${thrown}", { kind: "missing", within: [], component: "${thrown}" }],
    ['"; abort', { kind: "missing", within: [], component: '"; abort' }],
    ["__functor", { kind: "not-a-package", what: "function", attribute: ["__functor"] }],
    ["afunction", { kind: "not-a-package", what: "function", attribute: ["aFunction"] }],
    ["astring", { kind: "not-a-package", what: "string", attribute: ["aString"] }],
    ["alist", { kind: "not-a-package", what: "list", attribute: ["aList"] }],
    ["anull", { kind: "not-a-package", what: "null", attribute: ["aNull"] }],
    ["python", { kind: "not-a-package", what: "set", attribute: ["python"] }],
    ["typethrows", { kind: "not-a-package", what: "set", attribute: ["typeThrows"] }],
    ["saMe", { kind: "ambiguous", attributes: [["SAME"], ["Same"], ["same"]] }],
    ["tie", { kind: "ambiguous", attributes: [["TIe"], ["Tie"]] }],
    ["0--74ie", { kind: "missing", within: [], component: "0--74ie" }],
    ["thrown", { kind: "failed" }],
    ["thrown.x.y", { kind: "failed" }],
    ["throwing.thrown", { kind: "failed" }],
    ["throwing.inside", { kind: "failed" }],
    ["badtype", { kind: "failed" }],
    ["failslate", { kind: "failed" }],
    ["unfreedependency", { kind: "failed" }],
    ["unfree", { kind: "unfree", licenses: ["LicenseRef-X"] }],
    ["unfreelicense", { kind: "unfree", licenses: ["unfree"] }],
    ["broken", { kind: "broken" }],
    ["insecure", { kind: "insecure", name: "refused-1", vulnerabilities: ["CVE-1", "CVE-2"] }],
    ["unsupported", { kind: "unsupported", system: SYSTEM }],
    ["elsewhere", { kind: "unsupported", system: SYSTEM }],
    ["foreign", { kind: "unsupported", system: SYSTEM }],
  ];
  test("says what everything else is, in the order asked, in one evaluation", async () => {
    const { lookups } = await evaluateLookup(
      nix,
      await packageSet(onTestFinished, nix, SET),
      names(others),
    );
    expect(lookups).toStrictEqual(others.map(([, said]) => said));
  });

  test("names the members of each set in which something is missing, once", async () => {
    const source = await packageSet(
      onTestFinished,
      nix,
      '{ a = 1; n.b = throw "x"; n.C = abort "y"; }',
    );
    const asked = ["x", "y", "n.x", "n.y", "n"];
    const { members } = await evaluateLookup(nix, source, asked);
    expect(members).toStrictEqual([
      { within: ["n"], names: ["C", "b"] },
      { within: [], names: ["a", "n"] },
    ]);
  });

  const outputs: readonly (readonly [name: string, outputs: readonly string[]])[] = [
    ["plain", ["out"]],
    ["many", ["bin", "out"]],
    ["manNoMeta", ["bin"]],
    ["docsOnly", ["out"]],
    ["many.dev", ["dev"]],
    ["many.man", ["man"]],
    ["specified", ["out"]],
    ["outOnly", ["out"]],
    ["badMeta", ["out"]],
    ["noMeta", ["out"]],
    ["fetched", ["out"]],
    ["unfreeAllowed", ["out"]],
  ];
  test("wants the outputs a user would install, or the one that was named", async () => {
    const { lookups } = await evaluateLookup(
      nix,
      await packageSet(onTestFinished, nix, SET),
      names(outputs),
    );
    expect(
      lookups.map((lookup) => (lookup.outputs as { name: string }[]).map((output) => output.name)),
    ).toStrictEqual(outputs.map(([, wanted]) => wanted));
  });

  test("gives plain store paths and writes the derivation", async () => {
    const { lookups } = await evaluateLookup(nix, await packageSet(onTestFinished, nix, SET), [
      "many",
      "outOnly",
    ]);
    const [many, outOnly] = lookups;
    expect(String(many?.derivation)).toMatch(/^\/nix\/store\/[0-9a-z]{32}-many-1\.drv$/);
    const query = ["--query", "--outputs", String(many?.derivation)];
    const queried = await nix.run("nix-store", query, { deadlineMs: 60_000 });
    assert(queried.kind === "exited" && queried.code === 0, JSON.stringify(queried));
    const outputs = (many?.outputs ?? []) as { path: string }[];
    expect(outputs).toHaveLength(2);
    for (const { path } of outputs) {
      expect(queried.stdout.split("\n")).toContain(path);
    }
    expect(outOnly?.outputs).toStrictEqual([{ name: "out", path: outOnly?.derivation }]);
  });

  test("gives facts where they are known and null where they are not", async () => {
    const asked = ["facts", "plain", "oneLicense", "badMeta", "noMeta", "noName"];
    const { lookups } = await evaluateLookup(
      nix,
      await packageSet(onTestFinished, nix, SET),
      asked,
    );
    const unknown = { description: null, licenses: [], mainProgram: null, homepage: null };
    expect(
      lookups.map(({ name, version, description, licenses, mainProgram, homepage }) => ({
        ...{ name, version, description, licenses, mainProgram, homepage },
      })),
    ).toStrictEqual([
      {
        name: "facts",
        version: "3.1",
        description: 'Says "all"',
        licenses: ["MIT", "own", "words", "Full"],
        mainProgram: "fact",
        homepage: "https://facts.example",
      },
      { name: "plain", version: "1.2", ...unknown },
      { name: "one", version: "1", ...unknown, licenses: ["GPL-2.0-only"] },
      { name: "bad-meta", version: "1", ...unknown },
      { name: "no-meta", version: "1", ...unknown },
      { name: "noName", version: null, ...unknown },
    ]);
  });

  test("does not call unfree what the operator has allowed but is broken", async () => {
    const expression = `{ both = ${refused("unfree = true; broken = true;")}; }`;
    const source = await packageSet(onTestFinished, nix, expression);
    const strict = await evaluateLookup(nix, source, ["both"]);
    expect(strict.lookups[0]?.kind).toBe("unfree");
    const allowing = { ...source, config: { allowUnfree: true } };
    const allowed = await evaluateLookup(nix, allowing, ["both"]);
    expect(allowed.lookups[0]?.kind).toBe("broken");
  });
});
