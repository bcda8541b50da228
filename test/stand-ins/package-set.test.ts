import { assert, beforeAll, describe, expect, test } from "vitest";
import { endOfFile } from "../origin/fixture.ts";
import { skipWhere } from "../skip-where.ts";
import { generatePackageSet } from "./package-set/package-set.ts";
import { CACHE_MARKER, SOURCE_MARKER } from "./shelf.ts";
import { missingWorld, openWorld, succeed, type World } from "./world.ts";

const atEnd = endOfFile();
let world: World;

/** `pkgs` is the set; `lib` its library. */
async function evaluate(expression: string, where: World = world): Promise<string> {
  return await succeed(where, command(expression, where));
}

function command(expression: string, where: World): readonly string[] {
  const url = `https://github.com/NixOS/nixpkgs/archive/${where.forge.commitOf("master")}.tar.gz`;
  const set = `let nixpkgs = fetchTarball "${url}"; pkgs = import nixpkgs { }; inherit (pkgs) lib; in`;
  return ["nix-instantiate", "--eval", "--strict", "--expr", `${set} ${expression}`];
}

async function refusalOf(expression: string, where: World = world): Promise<string> {
  const result = await where.run(command(`(${expression}).outPath`, where));
  assert(result.kind === "exited" && result.code !== 0, JSON.stringify(result));
  return result.stderr.replaceAll(/\/nix\/store\/[^/]+\//g, "");
}

describe("generatePackageSet", () => {
  test("gives the same bytes for the same options", () => {
    const options = {
      ...{ salt: "a", packages: 200, minver: "2.18.0", wording: "old" as const },
      ...{ raised: new Map(), bootstrap: { url: "https://example.org", sha256: "" } },
    };
    expect(generatePackageSet(options)).toStrictEqual(generatePackageSet(options));
  });
});

describe("the package set", skipWhere(missingWorld()), () => {
  beforeAll(async () => {
    world = await openWorld(atEnd, { minver: "2.8", ownStore: true, packages: 3000 });
  });

  test("has some thousand attributes, in nested sets too", async () => {
    const counts = await evaluate(`let count = set: builtins.length (builtins.attrNames set); in
      map count [ pkgs pkgs.python3Packages pkgs.haskellPackages ]`);
    const [all = 0, python = 0, haskell = 0] = counts.match(/\d+/g)?.map(Number) ?? [];
    expect(all, counts).toBeGreaterThan(1100);
    expect(python, counts).toBeGreaterThan(700);
    expect(haskell, counts).toBeGreaterThan(1200);
  });

  test("holds itself, and lets itself be changed", async () => {
    const expressions: readonly [expression: string, value: string][] = [
      ["pkgs.pkgsBuildHost.pkgs.buildPackages.hello.outPath == pkgs.hello.outPath", "true"],
      ["pkgs.git.override { perl = null; python3 = null; } == pkgs.gitMinimal", "true"],
      ["pkgs.gitMinimal.outPath == pkgs.git.outPath", "false"],
      [
        '(pkgs.hello.overrideAttrs (old: { pname = old.pname + "-two"; })).name',
        '"hello-two-2.12.2.1"',
      ],
      ["(pkgs.extend (self: super: { jq = super.hello; })).jq.pname", '"hello"'],
      ["(import nixpkgs { config.packageOverrides = p: { jq = p.hello; }; }).jq.pname", '"hello"'],
      ['(import nixpkgs { system = "aarch64-linux"; }).hello.system', '"aarch64-linux"'],
      ["pkgs.jq.meta.outputsToInstall", '[ "bin" "man" ]'],
      ["pkgs.openssl.dev.outputName", '"dev"'],
      ["lib.isDerivation pkgs.haskellPackages.shellcheck", "true"],
      ["pkgs.linuxPackages.perf.version", '"6.12.57"'],
      ["pkgs.bash_5.name", '"bash-5.3p3"'],
      ["(builtins.tryEval pkgs.greeter).success", "false"],
    ];
    const all = expressions.map(([expression]) => `(${expression})`).join(" ");
    expect(await evaluate(`[ ${all} ]`)).toBe(
      `[ ${expressions.map(([, value]) => value).join(" ")} ]`,
    );
  });

  const refusals: readonly [expression: string, says: RegExp][] = [
    [
      "pkgs.unfree-tool",
      /Package ‘unfree-tool-7\.1’ in pkgs\/by-name\/un\/unfree-tool\/package\.nix:\d+ has an unfree license \(‘unfree’\), refusing to evaluate\.\n\n/,
    ],
    ["pkgs.needs-broken", /Package ‘broken-tool-0\.9’ in .* is marked as broken, refusing/],
    ["pkgs.needs-insecure", /Package ‘insecure-tool-1\.1\.1w’ .* is marked as insecure, refusing/],
    ["pkgs.unsupported-tool", /is not available on the requested hostPlatform:\n/],
    ["pkgs.greeter", /'greeter' has been renamed to\/replaced by 'hello'/],
    ["pkgs.nodejs_18", /'nodejs_18' has been removed, as it has reached/],
  ];
  test.for(refusals)("says why %s cannot be had", async ([expression, says]) => {
    expect(await refusalOf(expression)).toMatch(says);
  });

  test("lets pass what its configuration allows", async () => {
    const configs: readonly [config: string, name: string][] = [
      ["allowUnfree = true;", "needs-unfree"],
      ['allowUnfreePredicate = pkg: lib.getName pkg == "unfree-tool";', "unfree-tool"],
      ["allowBroken = true;", "needs-broken"],
      ['permittedInsecurePackages = [ "insecure-tool-1.1.1w" ];', "needs-insecure"],
      ["allowUnsupportedSystem = true;", "needs-unsupported"],
    ];
    const paths = configs.map(
      ([config, name]) => `(import nixpkgs { config = { ${config} }; }).${name}.outPath`,
    );
    expect(
      await evaluate(`map (path: path != "") [ ${paths.map((path) => `(${path})`).join(" ")} ]`),
    ).toMatch(/^\[ (true ){5}\]$/);
  });

  test("refuses a licence that its configuration blocks", async () => {
    const blocked =
      "import nixpkgs { config.blocklistedLicenses = [ lib.licenses.isc lib.licenses.mit ]; }";
    expect(await refusalOf(`(${blocked}).jq`)).toMatch(/has a blocklisted license \(‘mit’\)/);
  });

  test("gives the same when it is built from source, but for where it comes from", async () => {
    // Of several outputs, each with references of its own.
    const paths: readonly string[] = (await evaluate("toString pkgs.acl.all"))
      .replaceAll('"', "")
      .split(" ");
    const describeAll = async () => {
      const all = paths.map(async (path) => ({
        path,
        references: await succeed(world, ["nix-store", "--query", "--references", path]),
        made: await succeed(world, ["cat", `${path}/nix-support/made`]),
      }));
      return await Promise.all(all);
    };
    await succeed(world, ["nix-store", "--realise", ...paths]);
    const served = await describeAll();
    expect(served.map(({ made }) => made)).toStrictEqual(paths.map(() => CACHE_MARKER));
    await succeed(world, ["nix-store", "--delete", ...paths]);
    world.cache.fault(/narinfo acl-/, { kind: "missing" });
    const forgetful = ["--option", "narinfo-cache-positive-ttl", "0"];
    const [expression = ""] = command("pkgs.acl", world).slice(-1);
    await succeed(world, ["nix-build", "--no-out-link", ...forgetful, "--expr", expression]);
    world.cache.mend();
    expect(await describeAll()).toStrictEqual(
      served.map((each) => ({ ...each, made: SOURCE_MARKER })),
    );
  });
});

describe("another package set", skipWhere(missingWorld()), () => {
  test("wants a newer Nix", async () => {
    const strict = await openWorld(atEnd, { minver: "99.1", packages: 0 });
    expect(await refusalOf("pkgs.hello", strict)).toMatch(
      /This version of Nixpkgs requires Nix >= 99\.1, please upgrade/,
    );
  });

  const wordings = [
    [
      "new",
      /Refusing to evaluate package 'broken-tool-0\.9' in pkgs\/.*\.nix:\d+ because it is marked as broken\n/,
    ],
    [
      "problems",
      /Refusing to evaluate package 'broken-tool-0\.9' in .* because it has problems:\n\s+- broken: /,
    ],
  ] as const;
  test.for(wordings)("words its refusals in the %s way", async ([wording, says]) => {
    const other = await openWorld(atEnd, { minver: "2.8", packages: 0, wording });
    expect(await refusalOf("pkgs.needs-broken", other)).toMatch(says);
  });
});
