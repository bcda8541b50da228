// Where the generated set is put, by several starts at once as by one.

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { writeSetFolder } from "../../../nix/debian/set-folder.ts";
import { temporaryDirectory } from "../../origin/fixture.ts";

describe("writeSetFolder", { timeout: 60_000 }, () => {
  test("says whether anything changed", async () => {
    const folder = join(await temporaryDirectory(onTestFinished), "a/set");
    expect(await writeSetFolder(folder, { lock: "1" })).toBe(true);
    expect(await writeSetFolder(folder, { lock: "1" })).toBe(false);
    expect(await writeSetFolder(folder, { lock: "2" })).toBe(true);
    expect(await writeSetFolder(folder, { other: "2" })).toBe(true);
    expect((await readdir(folder)).sort()).toStrictEqual([
      ...["default.nix", "elf.pl", "fixups", "other", "repoint.pl", "tools.sh", "unpack.sh"],
    ]);
  });

  test("writes what is no text as a program, and sees each of its bytes", async () => {
    const folder = join(await temporaryDirectory(onTestFinished), "set");
    const write = (byte: number) =>
      writeSetFolder(folder, { "bin/x86/tool": Uint8Array.of(0x7f, byte) });
    expect([await write(0xfe), await write(0xfe), await write(0xff)]).toStrictEqual([
      true,
      false,
      true,
    ]);
    expect([...(await readFile(join(folder, "bin/x86/tool")))]).toStrictEqual([0x7f, 0xff]);
    expect((await stat(join(folder, "bin/x86/tool"))).mode & 0o777).toBe(0o755);
  });

  test("leaves one whole folder where several write it at once, and nothing else", async () => {
    const above = await temporaryDirectory(onTestFinished);
    const folder = join(above, "set");
    for (let round = 0; round < 30; round += 1) {
      const texts = [`${round} a`, `${round} b`, `${round} b`];
      await Promise.all(texts.map((lock) => writeSetFolder(folder, { lock })));
      expect(texts).toContain(await readFile(join(folder, "lock"), "utf8"));
      expect(await readdir(above)).toStrictEqual(["set"]);
    }
  });
});
