// Where the generated set is put, by several starts at once as by one.

import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { writeSetFolder } from "../../../nix/debian/set-folder.ts";
import { temporaryDirectory } from "../../origin/fixture.ts";

describe("writeSetFolder", { timeout: 60_000 }, () => {
  test("says whether anything changed", async (t) => {
    const folder = join(await temporaryDirectory(t), "a/set");
    assert.equal(await writeSetFolder(folder, { lock: "1" }), true);
    assert.equal(await writeSetFolder(folder, { lock: "1" }), false);
    assert.equal(await writeSetFolder(folder, { lock: "2" }), true);
    assert.equal(await writeSetFolder(folder, { other: "2" }), true);
    assert.deepEqual((await readdir(folder)).sort(), [
      ...["default.nix", "elf.pl", "fixups", "other", "tools.sh", "unpack.sh"],
    ]);
  });

  test("writes what is no text as a program, and sees each of its bytes", async (t) => {
    const folder = join(await temporaryDirectory(t), "set");
    const write = (byte: number) =>
      writeSetFolder(folder, { "bin/x86/tool": Uint8Array.of(0x7f, byte) });
    assert.deepEqual(
      [await write(0xfe), await write(0xfe), await write(0xff)],
      [true, false, true],
    );
    assert.deepEqual([...(await readFile(join(folder, "bin/x86/tool")))], [0x7f, 0xff]);
    assert.equal((await stat(join(folder, "bin/x86/tool"))).mode & 0o777, 0o755);
  });

  test("leaves one whole folder where several write it at once, and nothing else", async (t) => {
    const above = await temporaryDirectory(t);
    const folder = join(above, "set");
    for (let round = 0; round < 30; round += 1) {
      const texts = [`${round} a`, `${round} b`, `${round} b`];
      await Promise.all(texts.map((lock) => writeSetFolder(folder, { lock })));
      assert(texts.includes(await readFile(join(folder, "lock"), "utf8")));
      assert.deepEqual(await readdir(above), ["set"]);
    }
  });
});
