// repoint.pl: a longer text in the place of one that is compiled in, for both machine types.

import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../../origin/fixture.ts";
import { skipWhere } from "../../skip-where.ts";

const SCRIPT = join(import.meta.dirname, "../../../nix/debian/repoint.pl");
const OLD = "/usr/lib/old";
const NEW = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-glibc/lib/new";
const ROOM = `/usr/share/%N:${"unneeded".repeat(10)}`;
/** Where the program is loaded, what its code begins with, and where its texts are. */
const ADDRESS = 0x10000;
const CODE_AT = 0x1000;
const OLD_AT = 0x2001;
const ROOM_AT = 0x3101;
const MACHINES = { x86_64: 62, aarch64: 183 } as const;
type Machine = keyof typeof MACHINES;

/** Code that takes the address of what lies at this place in the file. */
function takes(machine: Machine, at: number): Buffer {
  const code = Buffer.alloc(12);
  if (machine === "x86_64") {
    // lea rdi, [rip + ...]
    code.set([0x48, 0x8d, 0x3d]);
    code.writeInt32LE(at - (CODE_AT + 7), 3);
    return code;
  }
  const pages = (at >> 12) - (CODE_AT >> 12);
  // adrp x3; nop; add x3, x3, ...
  code.writeUInt32LE((0x90000003 | ((pages & 3) << 29) | ((pages >> 2) << 5)) >>> 0, 0);
  code.writeUInt32LE(0xd503201f, 4);
  code.writeUInt32LE((0x91000063 | ((at & 0xfff) << 10)) >>> 0, 8);
  return code;
}

function program(machine: Machine, { code = takes(machine, OLD_AT), old = OLD, room = ROOM } = {}) {
  const bytes = Buffer.alloc(0x4000);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(MACHINES[machine], 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(5, 68);
  [0, ADDRESS, ADDRESS, bytes.length].forEach((value, field) => {
    bytes.writeBigUInt64LE(BigInt(value), 72 + 8 * field);
  });
  bytes.set(code, CODE_AT);
  bytes.write(`${old}\0`, OLD_AT);
  bytes.write(`${room}\0`, ROOM_AT);
  return bytes;
}

async function repointed(original: Buffer) {
  const file = join(await temporaryDirectory(onTestFinished), "libc.so.6");
  await writeFile(file, original);
  const options = { encoding: "utf8" } as const;
  const { status, stderr } = spawnSync("perl", [SCRIPT, file, OLD, NEW, "/usr/share/%N:"], options);
  return { status, stderr, bytes: await readFile(file) };
}

describe("repoint.pl", skipWhere(spawnSync("perl", ["-v"]).status !== 0 && "needs perl"), () => {
  const machines = Object.keys(MACHINES) as readonly Machine[];

  test.for(machines)(
    "has the code of %s take the new text, and changes no more",
    async (machine) => {
      const { status, stderr, bytes } = await repointed(program(machine));
      expect([status, stderr]).toStrictEqual([0, ""]);
      const expected = program(machine, { code: takes(machine, ROOM_AT) });
      expected.write(`${NEW}\0`, ROOM_AT);
      expect(bytes.equals(expected)).toBe(true);
    },
  );

  const rows: readonly (readonly [string, Buffer, RegExp])[] = [
    [
      "the text is not there",
      program("x86_64", { old: "/usr/lib/other" }),
      /has no \/usr\/lib\/old/,
    ],
    ["there is no room", program("aarch64", { room: "/usr/share/%N:" }), /has no room for/],
    ["nothing uses the text", program("aarch64", { code: takes("aarch64", ROOM_AT) }), /not use/],
    ["it is of another machine", program("x86_64", { code: takes("aarch64", OLD_AT) }), /not use/],
  ];
  test.for(rows)("changes nothing where %s", async ([, original, problem]) => {
    const { status, stderr, bytes } = await repointed(original);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(problem);
    expect(bytes.equals(original)).toBe(true);
  });
});
