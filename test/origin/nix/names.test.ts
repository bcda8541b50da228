// Which attribute a name means: an escape for what no image name can say, an error where several are
// meant, and one canonical attribute for each package.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { Lookup } from "../../../registry/image/lookup.ts";
import { derivation, packageSet, SYSTEM, testNix } from "./fixture.ts";

const nix = await testNix();
const never = AbortSignal.any([]);

const package_ = (name: string, extra = "", meta = "") =>
  `(${derivation(name, "echo > $out", extra)} // { meta = { ${meta} }; })`;

const SET = `let self = {
  hello = ${package_("hello-1")};
  tls = ${package_("tls-1", 'outputs = [ "out" "bin" "dev" ];', 'outputsToInstall = [ "bin" ];')};
  docs = ${package_("docs-1", 'outputs = [ "out" "data" ];', 'outputsToInstall = [ "out" "data" ];')};
  "gtk+" = ${package_("gtk-1")}; "gtk+extra" = ${package_("gtk-extra-1")};
  _foo = ${package_("foo-1")};
  "ruamel.yaml" = ${package_("ruamel-1")};
  "ruamel.yäml" = ${package_("ruamel-2")};
  nodePackages."@angular/cli" = ${package_("ng-1")};
  h = { Foo = ${package_("h-1")}; fOO = ${package_("h-2")}; };
  few.Set.inner = ${package_("few-1")}; few.sEt.inner = ${package_("few-2")}; few.seT = { };
  _7zz = ${package_("zz-1")}; "7ZZ" = ${package_("zz-2")};
  alone._7z = ${package_("z-1")};
  pkgs = self // { recurseForDerivations = false; }; lib = { };
  over = { inherit (self) hello; pkgs = { }; hello2 = throw "not asked for"; };
  other = self // { hello = ${package_("hello-2")}; };
  python = ${package_("python-1")} // { pkgs = self.pythonPackages; forBuild = self.python; };
  pythonPackages = { numpy = ${package_("numpy-1")}; inherit (self) python; };
  throws = { hello = throw "not today"; aborts.hello = self.hello; };
}; in self`;

async function said(...names: readonly string[]): Promise<readonly Lookup[]> {
  const source = await packageSet(onTestFinished, nix, SET);
  const lookups = await lookUp(nix, source, SYSTEM, names, never);
  return lookups.map(({ lookup }) => lookup as Lookup);
}

test("one attribute is what a package is called, whatever way leads to it", async () => {
  const rows = [
    ["hello", "hello"],
    ["hello.out", "hello"],
    ["pkgs.hello", "hello"],
    ["pkgs.hello.out", "hello"],
    ["tls", "tls"],
    ["tls.bin", "tls"],
    ["tls.out", "tls.out"],
    ["pkgs.tls.dev", "tls.dev"],
    ["docs", "docs"],
    // Of which the package has more.
    ["docs.out", "docs.out"],
    ["other.hello", "other.hello"],
    ["over.hello", "over.hello"],
    ["python.pkgs.numpy", "python.pkgs.numpy"],
    ["python.pkgs.python.pkgs.numpy", "python.pkgs.numpy"],
    ["python.forbuild", "python"],
    ["throws.aborts.hello", "throws.aborts.hello"],
    ["gtk--2b", "gtk--2b"],
    ["0--5ffoo", "_foo"],
    ["ruamel--2eyaml", "ruamel--2eyaml"],
    ["nodepackages.0--40angular--2fcli", "nodePackages.--40angular--2fcli"],
    ["h.0--46oo", "h.Foo"],
    ["h.f--4f--4f", "h.fOO"],
    ["few.0--53et.inner", "few.Set.inner"],
    ["0--5f7zz", "_7zz"],
    ["alone.7z", "alone._7z"],
  ] as const;
  const lookups = await said(...rows.map(([name]) => name));
  for (const [index, [name, attribute]] of rows.entries()) {
    const lookup = lookups[index];
    assert(lookup?.kind === "found", `${name}: ${JSON.stringify(lookup)}`);
    expect(lookup.attribute, name).toBe(attribute);
  }
  const outputs = (index: number) => (lookups[index] as { outputs?: unknown }).outputs;
  for (const index of [1, 2, 3, 11]) expect(outputs(index)).toStrictEqual(outputs(0));
});

test("a name that goes on where it has ended is told what it means", async () => {
  const rows = [
    ["hello.out.out", ["hello.out"]],
    ["hello.out.out.out.out", ["hello.out"]],
    ["tls.dev.bin", ["tls.dev"]],
    ["pkgs.pkgs.hello", ["hello"]],
    ["pkgs.pkgs.tls.dev", ["tls.dev"]],
    ["python.pkgs.python.pkgs.python.pkgs.numpy", ["python.pkgs.numpy"]],
    ["python.forbuild.forbuild", ["python"]],
    ["other.pkgs.hello", ["hello"]],
  ] as const;
  const lookups = await said(...rows.map(([name]) => name));
  expect(lookups).toStrictEqual(rows.map(([, near]) => ({ kind: "missing", near })));
});

test("a name of several attributes says each of them, and how it is written", async () => {
  const lookups = await said("h.foo", "few.set.inner", "7zz");
  const ambiguous = (...meant: readonly (readonly [string, string])[]) => ({
    kind: "ambiguous",
    meant: meant.map(([attribute, name]) => ({ attribute, name })),
  });
  expect(lookups).toStrictEqual([
    ambiguous(["h.Foo", "h.0--46oo"], ["h.fOO", "h.f--4f--4f"]),
    ambiguous(["few.Set.inner", "few.0--53et.inner"], ["few.sEt.inner", "few.s--45t.inner"]),
    ambiguous(["7ZZ", "7--5a--5a"], ["_7zz", "0--5f7zz"]),
  ]);
  const written = lookups.flatMap((each) =>
    each.kind === "ambiguous" ? each.meant.flatMap(({ name }) => name ?? []) : [],
  );
  const found = await said(...written);
  expect(found.map(({ kind }) => kind)).toStrictEqual(written.map(() => "found"));
});

test("a name that leads to millions of places is told of some", async () => {
  const source = await packageSet(
    onTestFinished,
    nix,
    `let self = { Aa = self; aA = self; AA = self; hello = ${package_("hello-1")}; }; in self`,
  );
  const name = `${"aa.".repeat(15)}hello`;
  const [asked] = await lookUp(nix, source, SYSTEM, [name, "hello"], never);
  assert(asked?.lookup.kind === "ambiguous", JSON.stringify(asked));
  expect(asked.lookup.meant).toHaveLength(8);
  expect(asked.lookup.meant[0]).toStrictEqual({
    attribute: "AA.AA.AA.AA",
    name: `${"0--41--41.".repeat(4)}${"aa.".repeat(11)}hello`,
  });
});

describe("suggestions", () => {
  test("are names that can be pulled, and never the one that was asked for", async () => {
    const rows = ["gtk", "fooo", "ruamel.yaml", "h.fo", "nodepackages.angular", "7z"];
    const lookups = await said(...rows);
    const near = lookups.flatMap((each) => (each.kind === "missing" ? [each.near] : []));
    expect(near).toStrictEqual([
      ["gtk--2b", "gtk--2bextra"],
      ["0--5ffoo"],
      expect.arrayContaining(["ruamel--2eyaml"]),
      ["h.0--46oo", "h.f--4f--4f"],
      ["nodepackages.0--40angular--2fcli"],
      ["7--5a--5a"],
    ]);
    const found = await said(...near.flat());
    expect(found.map(({ kind }) => kind)).toStrictEqual(near.flat().map(() => "found"));
  });

  test("of what a set holds are written so too", async () => {
    const [set, nested] = await said("h", "nodepackages");
    expect(set).toMatchObject({ kind: "not-a-package", near: ["h.0--46oo", "h.f--4f--4f"] });
    expect(nested).toMatchObject({ near: ["nodepackages.0--40angular--2fcli"] });
  });
});

test("what a set says of its packages is cut to a length that can be told", async () => {
  const long = "x".repeat(5000);
  const source = await packageSet(
    onTestFinished,
    nix,
    `let good = ${derivation("good-1.0", "echo > $out")};
      many = builtins.concatStringsSep "" (builtins.genList (_: "${long}") 200);
    in {
      long = good // { pname = "${long}"; version = "${long}"; meta = { description = "${long}";
        mainProgram = "${long}"; homepage = "https://${long}"; license = builtins.genList (_: "${long}") 1000; }; };
      longer = good // { pname = many; version = many; meta = { description = many;
        mainProgram = many; license = many; }; };
      insecure = { type = "derivation"; name = many; outPath = throw "no";
        meta.knownVulnerabilities = builtins.genList (_: "${long}") 1000; };
    }`,
  );
  const names = ["long", "longer", "insecure"];
  const lookups = await lookUp(nix, source, SYSTEM, names, never);
  const [first, second, third] = lookups.map(({ lookup }) => lookup);
  assert(first?.kind === "found" && second?.kind === "found" && third?.kind === "insecure");
  expect(first.name).toHaveLength(211);
  expect(first.version).toHaveLength(100);
  expect(first.description).toHaveLength(1000);
  expect(first.mainProgram).toHaveLength(211);
  expect(JSON.stringify(first).length).toBeLessThan(16_384);
  expect(second).toMatchObject({
    name: "good",
    description: null,
    mainProgram: null,
    homepage: null,
    licenses: [],
  });
  expect(third.vulnerabilities.every((each) => each.length === 211)).toBe(true);
  expect(JSON.stringify([second, third]).length).toBeLessThan(16_384);
});
