// elf.pl: where a program's loader and libraries are written into it, and what stays as it was.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import type { Ending } from "../../origin/fixture.ts";
import { skipWhere } from "../../skip-where.ts";
import { type ElfShape, makeElf, readElf } from "./elf-file.ts";

const SCRIPT = join(import.meta.dirname, "../../../nix/debian/elf.pl");
const LOADER = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-glibc-2.41/lib/ld-linux-x86-64.so.2";
const FOLDERS = {
  "libc.so.6": "/nix/store/glibc/lib",
  "libm.so.6": "/nix/store/glibc/lib",
  "libz.so.1": "/nix/store/zlib/lib",
};
const skip = spawnSync("perl", ["-v"]).status !== 0 && "needs perl";

// What became of a file with these bytes, and what elf.pl said.
async function changed(
  onEnd: Ending,
  original: Buffer,
  { name = "bin/program", mode = 0o755, loader = LOADER } = {},
) {
  const work = await mkdtemp(join(tmpdir(), "nixport-elf-"));
  onEnd(() => rm(work, { recursive: true }));
  const file = join(work, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, original, { mode });
  const libraries = Object.entries(FOLDERS).map(([library, folder]) => `${library}\t${folder}\n`);
  const input = `${libraries.join("")}${file}\n`;
  const { status, stderr } = spawnSync("perl", [SCRIPT, loader], { input, encoding: "utf8" });
  const bytes = existsSync(file) ? await readFile(file) : undefined;
  return { status, stderr, bytes };
}

describe("elf.pl", skipWhere(skip), () => {
  const program: ElfShape = {
    needed: ["libz.so.1", "libm.so.6", "libc.so.6"],
    interpreter: "/lib64/ld-linux-x86-64.so.2",
  };

  const shapes: readonly (readonly [string, ElfShape])[] = [
    ["with addresses of the loader's choice", program],
    ["with fixed addresses", { ...program, base: 0x400000 }],
    ["with several notes", { ...program, notes: 3 }],
    ["with a search path of its own", { ...program, runpath: "/usr/lib/private" }],
    ["with the least room there can be", { ...program, spareEntries: 2 }],
  ];
  test.for(shapes)("points a program %s to its loader and libraries", async ([, shape]) => {
    const original = makeElf(shape);
    const { status, stderr, bytes = Buffer.alloc(0) } = await changed(onTestFinished, original);
    expect([status, stderr]).toStrictEqual([0, ""]);
    const [before, after] = [readElf(original), readElf(bytes)];
    expect(after.interpreter).toBe(LOADER);
    expect(after.runpath).toBe("/nix/store/zlib/lib:/nix/store/glibc/lib");
    expect(after.rpath).toBeUndefined();
    expect(after.needed).toStrictEqual(shape.needed);
    expect(after.headers).toHaveLength(before.headers.length);

    // Nothing that was loaded moves, and what is new lies above it, readable only.
    expect(after.loads.slice(0, -1)).toStrictEqual(before.loads);
    const [last, added] = after.loads.slice(-2);
    assert(last && added);
    expect(added.address).toBeGreaterThanOrEqual(last.address + last.memory);
    expect([added.flags, added.address % 4096]).toStrictEqual([4, added.offset % 4096]);
    expect(added.offset + added.size).toBe(bytes.length);
  });

  const untouched: readonly (readonly [string, Buffer])[] = [
    ["a static program", makeElf({ needed: [] })],
    [
      "a file of another word size",
      Buffer.concat([Buffer.from("\x7fELF\x01\x01"), Buffer.alloc(80)]),
    ],
    ["a file cut short", makeElf(program).subarray(0, 40)],
  ];
  test.for(untouched)("leaves %s alone", async ([, original]) => {
    const { status, bytes } = await changed(onTestFinished, original);
    expect(status).toBe(0);
    expect(bytes).toStrictEqual(original);
  });

  test("leaves the loader that a file names which nobody can execute", async () => {
    const { bytes = Buffer.alloc(0) } = await changed(onTestFinished, makeElf(program), {
      mode: 0o644,
    });
    expect(readElf(bytes).interpreter).toBe(program.interpreter);
    expect(readElf(bytes).runpath ?? "").toMatch(/glibc/);
  });

  test("removes a plugin that nothing could load", async () => {
    const plugin = makeElf({ needed: ["libatm.so.1"] });
    const name = "lib/tc/q_atm.so";
    const { status, bytes } = await changed(onTestFinished, plugin, { name });
    expect([status, bytes]).toStrictEqual([0, undefined]);
  });

  const refused: readonly (readonly [string, Buffer, RegExp])[] = [
    ["a library that is nowhere", makeElf({ needed: ["libgone.so.3"] }), /needs libgone\.so\.3/],
    ["no program header to spare", makeElf({ ...program, notes: 0 }), /no program header to spare/],
    ["no entry to spare", makeElf({ ...program, spareEntries: 1 }), /no entry in its dynamic/],
  ];
  test.for(refused)("tells of %s, and leaves the file as it was", async ([, original, message]) => {
    const { status, stderr, bytes } = await changed(onTestFinished, original);
    expect(status).toBe(1);
    expect(stderr).toMatch(message);
    expect(bytes).toStrictEqual(original);
  });

  test("tells of a program whose package has no C library", async () => {
    const { status, stderr } = await changed(onTestFinished, makeElf(program), { loader: "" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/needs glibc, which is no dependency/);
  });
});
