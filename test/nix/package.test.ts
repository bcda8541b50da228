// The origin as a package: built against a set that is this machine's own Node and npm, which is all
// that package.nix asks of one; then started, and pulled from.

import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, globSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { assert, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { NixProgram } from "../../origin/nix/nix-runner.ts";
import { endOfFile, temporaryDirectory } from "../origin/fixture.ts";
import { plantSet, REPOSITORY_PREFIX } from "../origin/house.ts";
import { SYSTEM, TEST_NIX_CONFIG, testNix } from "../origin/nix/fixture.ts";
import { createRepository } from "../origin/sources/git-repository.ts";
import { skipWhere } from "../skip-where.ts";
import { generatePackageSet } from "../stand-ins/package-set/package-set.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILD_DEADLINE_MS = 240_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const atEnd = endOfFile();

/** Where npm's own files are: what `bin/npm-cli.js` lies in. */
function findNpm(): string | undefined {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "npm"));
  const program = [process.env.npm_execpath ?? "", ...onPath].find((path) => existsSync(path));
  const folder = program && dirname(dirname(realpathSync(program)));
  return folder && existsSync(join(folder, "bin/npm-cli.js")) ? folder : undefined;
}

/** As npm is configured here, which a build does not see. */
function npmSettings(npm: string): Readonly<Record<string, string>> {
  const args = [join(npm, "bin/npm-cli.js"), "config", "get", "registry"];
  const registry = execFileSync(process.execPath, args, { encoding: "utf8" }).trim();
  const { NODE_EXTRA_CA_CERTS } = process.env;
  return { npm_config_registry: registry, ...(NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS }) };
}

async function isAnswering(url: string): Promise<boolean> {
  return fetch(url, { method: "HEAD", signal: AbortSignal.timeout(5000) }).then(
    () => true,
    () => false,
  );
}

const npm = findNpm();
const settings = npm === undefined ? {} : npmSettings(npm);
const skip =
  npm === undefined
    ? "npm is not on PATH"
    : !(await isAnswering(settings.npm_config_registry ?? "")) && "npm's registry does not answer";

describe("nix/package.nix", { ...skipWhere(skip), timeout: BUILD_DEADLINE_MS }, () => {
  let set: string;
  let path: string;

  beforeAll(async () => {
    set = await plantNodeSet(npm ?? "");
    path = (await nix("nix-build", join(ROOT, "nix"), "--no-out-link", ...pkgs())).trim();
  });

  const pkgs = () => ["--arg", "pkgs", `import ${set}`];

  /** As an operator runs it: of what the origin hands on to Nix, npm's registry is no part. */
  async function nix(program: NixProgram, ...args: readonly string[]): Promise<string> {
    const env = { ...process.env, ...settings, NIX_CONFIG: TEST_NIX_CONFIG };
    const options = { env, timeout: BUILD_DEADLINE_MS, maxBuffer: MAX_OUTPUT_BYTES };
    const { stdout } = await promisify(execFile)(program, args, options);
    return stdout;
  }

  test("holds every npm package that its sources import, and those alone that they need", () => {
    const sources = join(path, "lib/nixport");
    const imported = new Set<string>();
    for (const file of globSync("{origin,page,registry,nix}/**/*.ts", { cwd: sources })) {
      const text = readFileSync(join(sources, file), "utf8");
      for (const [, name = ""] of text.matchAll(
        /^(?:import|export) [^"]* from "([^."][^"]*)";$/gm,
      )) {
        if (!isBuiltin(name)) imported.add(/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name);
      }
    }
    expect(imported.size).toBeGreaterThan(3);
    for (const name of imported) {
      expect(existsSync(join(sources, "node_modules", name, "package.json")), name).toBe(true);
    }
    for (const absent of ["workerd", "miniflare", "wrangler", "esbuild", "typescript", "node"]) {
      expect(existsSync(join(sources, "node_modules", absent)), absent).toBe(false);
    }
    expect(readdirSync(path)).toStrictEqual(["bin", "lib"]);
    expect(readdirSync(join(path, "bin"))).toStrictEqual(["nixport"]);
  });

  test("refers to Node and to nothing else", async () => {
    const references = (await nix("nix-store", "--query", "--references", path)).trim().split("\n");
    const names = references.map((each) => each.replace(/^\/nix\/store\/[^-]+-/, "")).sort();
    expect(names).toStrictEqual(["nixport-0.1.0", "node-of-this-machine"]);
  });

  test("has a program that says what it can do, by its own name", () => {
    const help = execFileSync(join(path, "bin/nixport"), ["--help"], { encoding: "utf8" });
    expect(help).toMatch(/^usage: nixport <command>[\s\S]* origin [\s\S]* verify /);
    const verify = execFileSync(join(path, "bin/nixport"), ["verify", "--help"], {
      encoding: "utf8",
    });
    expect(verify).toMatch(/^usage: nixport verify /);
  });

  test("serves images, and builds them again", async () => {
    const cwd = await temporaryDirectory(onTestFinished);
    const env = {
      ...{ PATH: process.env.PATH ?? "", HOME: cwd, NIX_CONFIG: TEST_NIX_CONFIG },
      ...{
        NIXERY_PKGS_PATH: await plantSet(onTestFinished),
        PORT: "0",
        NIXPORT_LOG_LEVEL: "silent",
      },
    };
    const run = (...args: readonly string[]) =>
      spawn(join(path, "bin/nixport"), args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
    const child = run("origin");
    const ended = once(child, "exit");
    onTestFinished(async () => {
      child.kill("SIGTERM");
      await ended;
    });
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    const [, url = ""] = /^origin at (\S+), serving/.exec(line) ?? [];
    const page = await (await fetch(url)).text();
    const scripts = [...page.matchAll(/\/assets\/[\w-]+\.js/g)].map(([path]) => url + path);
    expect(scripts.length, page).toBeGreaterThan(0);
    for (const script of scripts) expect((await fetch(script)).status, script).toBe(200);
    const name = `${REPOSITORY_PREFIX}hello/sh`;
    const response = await fetch(`${url}/v2/${name}/manifests/latest`);
    expect(response.status, await response.text()).toBe(200);
    const [code] = await once(run("verify", "--registry", url, name), "exit");
    expect(code).toBe(0);
    child.kill("SIGTERM");
    expect(await ended).toStrictEqual([0, null]);
  });

  test("is what the flake beside it gives for a set", async () => {
    const checkout = await createRepository(onTestFinished);
    const files = ["LICENSE", "package.json", "package-lock.json"];
    for (const part of ["nix", "origin", "page", "registry", ...files]) {
      cpSync(join(ROOT, part), join(checkout.path, part), { recursive: true });
    }
    checkout.add("all");
    const nixpkgs = realpathSync(await temporaryDirectory(onTestFinished));
    await writeFile(
      join(nixpkgs, "flake.nix"),
      `{ outputs = _: { legacyPackages.${SYSTEM} = import ${set} // { lib = { }; }; }; }`,
    );
    const options = ["--extra-experimental-features", "nix-command flakes", "--impure", "--raw"];
    const flake = `git+file://${checkout.path}?dir=nix#packages.${SYSTEM}.default.outPath`;
    const override = ["--override-input", "nixpkgs", `path:${nixpkgs}`, "--no-write-lock-file"];
    expect(await nix("nix", "eval", ...options, flake, ...override)).toBe(path);
  });
});

test("nix/package.nix is a package of a set in nixpkgs' shape, however it is called", async () => {
  const folder = realpathSync(await temporaryDirectory(onTestFinished));
  const tree = generatePackageSet({
    ...{ salt: "package", packages: 0, minver: "2.8", wording: "new", raised: new Map() },
    bootstrap: { url: "https://h.example/tools", sha256: "0".repeat(52) },
  });
  for (const [path, text] of tree) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const expression = `
    let
      pkgs = import ${folder} { system = "${SYSTEM}"; config = { }; overlays = [ ]; };
      given = import ${join(ROOT, "nix")} { inherit pkgs; };
      called = pkgs.callPackage ${join(ROOT, "nix/package.nix")} { };
    in {
      isSame = given.drvPath == called.drvPath;
      inherit (given) name pname system;
      inherit (given.meta) mainProgram;
      node = given.builder == "\${pkgs.nodejs_24}/bin/node";
    }`;
  const { run } = await testNix();
  const args = ["--eval", "--json", "--strict", "--expr", expression];
  const result = await run("nix-instantiate", args, { deadlineMs: 60_000 });
  assert(result.kind === "exited" && result.code === 0, JSON.stringify(result));
  expect(JSON.parse(result.stdout)).toStrictEqual({
    ...{ isSame: true, name: "nixport-0.1.0", pname: "nixport", system: SYSTEM },
    ...{ mainProgram: "nixport", node: true },
  });
});

/** A set with this machine's Node, in nixpkgs' layout, and what a package of it needs not. */
async function plantNodeSet(npm: string): Promise<string> {
  const folder = realpathSync(await temporaryDirectory(atEnd));
  await mkdir(join(folder, "node/bin"), { recursive: true });
  await cp(process.execPath, join(folder, "node/bin/node"));
  await cp(npm, join(folder, "node/lib/node_modules/npm"), { recursive: true });
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(folder, "node/bin/npm"));
  await writeFile(
    join(folder, "default.nix"),
    `{
      nodejs_24 = {
        type = "derivation"; name = "nodejs-24"; system = "${SYSTEM}";
        outPath = "\${builtins.path { name = "node-of-this-machine"; path = ${folder}/node; }}";
      };
      hello = throw "not asked for";
    }`,
  );
  return folder;
}
