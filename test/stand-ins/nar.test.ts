import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { narHash } from "../../origin/sources/nar-hash.ts";
import { temporaryDirectory } from "../origin/fixture.ts";
import { testNix } from "../origin/nix/fixture.ts";
import { file, folderOf, narOf, nixHash, readTree } from "./nar.ts";

describe("narOf", () => {
  test("archives a folder as Nix does", async () => {
    const folder = await temporaryDirectory(onTestFinished);
    mkdirSync(join(folder, "b/empty"), { recursive: true });
    writeFileSync(join(folder, "b/program"), "runs");
    chmodSync(join(folder, "b/program"), 0o755);
    for (const name of ["a", "B", "b.c", "é"]) writeFileSync(join(folder, name), name.repeat(5));
    symlinkSync("../b", join(folder, "link"));
    const nar = narOf(readTree(folder));
    const nix = await testNix();
    const hashed = await nix.run("nix-store", ["--dump", folder], { deadlineMs: 10_000 });
    assert(hashed.kind === "exited" && hashed.code === 0, JSON.stringify(hashed));
    expect(nar.toString("utf8")).toBe(hashed.stdout);
    expect(createHash("sha256").update(nar).digest("hex")).toBe(await narHash(folder));
  });

  test("archives a tree that is given by the paths of its files", () => {
    const tree = folderOf({ "bin/x": file("x", true), "bin/y": file("y"), z: file("z") });
    const bin = folderOf({ y: file("y"), x: file("x", true) });
    expect(narOf(tree)).toStrictEqual(narOf({ kind: "folder", entries: { z: file("z"), bin } }));
  });
});

describe("nixHash", () => {
  test("writes a hash in Nix's own digits", () => {
    // nix-hash --type sha256 --base32 --flat of an empty file.
    expect(nixHash(Buffer.alloc(0))).toBe("0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
  });
});
