import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { isOlder, parseNixVersion, readNeededNix } from "../../../origin/nix/version.ts";
import { tempDir } from "./fixture.ts";

describe("parseNixVersion", () => {
  const rows = [
    ["nix (Nix) 2.8.0", "2.8.0"],
    ["nix (Nix) 2.34.0pre20260101_abcdef0\n", "2.34.0"],
    ["nix (Determinate Nix 3.5.2) 2.28.3", "2.28.3"],
    ["nix (Lix, like Nix) 2.93.0", "2.93.0"],
    ["nothing", undefined],
  ] as const;
  for (const [text, version] of rows) {
    test(`reads ${version} from ${text.trim()}`, () => expect(parseNixVersion(text)).toBe(version));
  }
});

describe("isOlder", () => {
  const rows = [
    ["2.8.0", "2.18", true],
    ["2.18", "2.8.0", false],
    ["2.18.0", "2.18", false],
    ["2.18", "2.18.0", false],
    ["2.18", "2.18.1", true],
    ["2.3", "2.8", true],
    ["2.93.0", "2.18.0", false],
    ["1.11.16", "2.0", true],
  ] as const;
  for (const [version, than, older] of rows) {
    test(`${version} ${older ? "is" : "is not"} older than ${than}`, () =>
      expect(isOlder(version, than)).toBe(older));
  }
});

describe("readNeededNix", () => {
  const rows: readonly [words: string, text: string, needed: string | undefined][] = [
    ["nixpkgs' own form", '# Expose the minimum required version\n"2.18.0"\n', "2.18.0"],
    ["a bare string", '"2.3"', "2.3"],
    ["an expression", 'let v = "2.3"; in v', undefined],
    ["no version", '"newest"', undefined],
    ["a file without end", `#${"x".repeat(100_000)}\n"2.18"`, undefined],
  ];
  test.for(rows)("reads $2 from $0", async ([, text, needed]) => {
    const folder = await tempDir(onTestFinished);
    await mkdir(join(folder, "lib"));
    await writeFile(join(folder, "lib/minver.nix"), text);
    expect(await readNeededNix(folder)).toBe(needed);
  });

  test("reads nothing where there is no such file, nor a folder", async () => {
    const folder = await tempDir(onTestFinished);
    expect(await readNeededNix(folder)).toBeUndefined();
    await writeFile(join(folder, "set.nix"), "{ }");
    expect(await readNeededNix(join(folder, "set.nix"))).toBeUndefined();
  });
});
