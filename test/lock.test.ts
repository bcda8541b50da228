// The lock file: every machine, of whatever platform, gets the same bytes from whatever registry it asks,
// and installing does not change a checkout.

import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "./origin/fixture.ts";

const ROOT = join(import.meta.dirname, "..");

type Versions = Readonly<Record<string, string>>;

interface Needs {
  readonly dependencies?: Versions;
  readonly devDependencies?: Versions;
  readonly optionalDependencies?: Versions;
  readonly peerDependencies?: Versions;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

interface Entry extends Needs {
  readonly version: string;
  readonly integrity?: string;
  readonly funding?: unknown;
  readonly libc?: readonly string[];
}

const manifest: Needs = JSON.parse(read("package.json"));
const lock: { readonly packages: Readonly<Record<string, Entry>> } = JSON.parse(
  read("package-lock.json"),
);
const entries = Object.entries(lock.packages);
const packages = entries.filter(([path]) => path !== "");

describe("package.json", () => {
  test.for(["dependencies", "devDependencies", "optionalDependencies"] as const)(
    "names exact versions in %s, which the lock file has",
    (kind) => {
      const named = Object.entries(manifest[kind] ?? {});
      expect(named.length).toBeGreaterThan(0);
      for (const [name, version] of named) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
        expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
      }
      expect(lock.packages[""]?.[kind]).toStrictEqual(manifest[kind]);
    },
  );
});

describe("package-lock.json", () => {
  test("has the integrity of every package", () => {
    expect(packages.length).toBeGreaterThan(100);
    const without = packages.filter(([, { integrity = "" }]) => !/^sha512-\S{88}$/.test(integrity));
    expect(without).toStrictEqual([]);
  });

  test("has no addresses, but those of whom to thank", () => {
    const shown = packages.map(([path, { funding, ...entry }]) => [path, entry]);
    expect(JSON.stringify(shown).match(/"resolved"|[^"]*:\/\/[^"]*/g) ?? []).toStrictEqual([]);
  });

  test("has all that its packages need or may need, for every platform", () => {
    const missing = entries.flatMap(([path, entry]) =>
      needsOf(entry)
        .filter((name) => find(path, name) === undefined)
        .map((name) => [path, name]),
    );
    expect(missing).toStrictEqual([]);
    for (const system of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]) {
      expect(find("node_modules/esbuild", `@esbuild/${system}`), system).toBeDefined();
    }
  });

  test("says which C library a package is for, so that only one of two is installed", () => {
    const forMusl = packages.filter(([path]) => /musl(-|$)/.test(path));
    expect(forMusl.length).toBeGreaterThan(0);
    for (const [path, { libc }] of forMusl) expect(libc, path).toStrictEqual(["musl"]);
  });
});

describe("npm", () => {
  // Either is done without a registry and without downloads, as far as the lock file goes.
  for (const [what, ...args] of [
    ["install leaves the lock file as it is", "install", "--package-lock-only"],
    ["ci accepts it", "ci", "--dry-run"],
  ] as const) {
    test(what, async () => {
      const folder = await temporaryDirectory(onTestFinished);
      for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
        copyFileSync(join(ROOT, name), join(folder, name));
      }
      const { status, stderr } = spawnSync("npm", [...args, "--offline", "--no-audit"], {
        cwd: folder,
        env: { PATH: process.env.PATH, HOME: folder },
        encoding: "utf8",
      });
      expect(status, stderr).toBe(0);
      for (const name of ["package.json", "package-lock.json"]) {
        expect(readFileSync(join(folder, name), "utf8"), name).toBe(read(name));
      }
    });
  }
});

function needsOf(entry: Needs): readonly string[] {
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = entry;
  const peers = Object.keys(peerDependencies ?? {}).filter(
    (name) => entry.peerDependenciesMeta?.[name]?.optional !== true,
  );
  return [
    ...Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies }),
    ...peers,
  ];
}

/** As Node looks for it: in the package's own folder, then in those that it lies in. */
function find(path: string, name: string): Entry | undefined {
  const found = lock.packages[join(path, "node_modules", name)];
  return found !== undefined || path === "" ? found : find(outer(path), name);
}

function outer(path: string): string {
  const folder = dirname(path);
  if (folder === ".") return "";
  return folder.endsWith("node_modules") ? outer(folder) : folder;
}

function read(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}
