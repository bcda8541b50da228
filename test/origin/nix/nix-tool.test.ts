import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findNix, LOOKUP_EXPRESSIONS } from "../../../origin/nix/nix-tool.ts";
import { testNix } from "./fixture.ts";

describe("findNix", () => {
  test("finds Nix and reports every process it starts", async () => {
    const started: string[] = [];
    const nix = await testNix({
      onSpawn: (program, args) => started.push([program, ...args].join(" ")),
    });
    expect(nix.version).toMatch(/^\d+\.\d+/);
    await nix.run("nix-store", ["--version"], { deadlineMs: 60_000 });
    expect(started.at(0)).toBe("nix --version");
    expect(started.at(-1)).toBe("nix-store --version");
  });

  test("answers undefined on a machine without Nix", async (t) => {
    if ((await findNix({ env: { PATH: "/nonexistent" } })) !== undefined) {
      t.skip("Nix is installed where every environment finds it");
    }
  });
});

test("answers are told apart by lookup.nix and all that it imports", async () => {
  const { expressions } = await testNix();
  const imported = new Set(["lookup.nix"]);
  for (const file of imported) {
    const text = await readFile(join(expressions, file), "utf8");
    for (const [, name] of text.matchAll(/import \.\/([a-z-]+\.nix)/g)) imported.add(name ?? "");
  }
  expect([...imported].sort()).toStrictEqual(LOOKUP_EXPRESSIONS.toSorted());
});
