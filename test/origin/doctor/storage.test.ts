// What the doctor says of the folders where an origin keeps things, on filesystems of its own: a
// namespace of mounts that ends with the command.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ended } from "../command/command.ts";
import { temporaryDirectory } from "../fixture.ts";
import { doctor, plantSmallSet, readFindings } from "./fixture.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));
const mounts = ["--mount", "--propagation", "private"];
const canMount =
  spawnSync("unshare", [...mounts, "mount", "-t", "tmpfs", "x", "/mnt"]).status === 0;
const skip = canMount ? false : "mounts need root";

/** Runs the doctor after `mount` has been run, a script with the state's folder as $1. */
async function doctorOn(t: TestContext, mount: string) {
  const statePath = await temporaryDirectory(t);
  const script = `${mount} && shift && exec "$@"`;
  const child = spawn(
    "unshare",
    [
      ...[...mounts, "sh", "-c", script, "sh", statePath],
      ...[process.execPath, COMMAND, "doctor", "--json"],
    ],
    {
      env: {
        ...{ PATH: process.env.PATH ?? "", HOME: "/nowhere", NIX_CONFIG: "substituters =" },
        ...{ NIXPORT_STATE: statePath, NIXERY_PKGS_PATH: await plantSmallSet(t) },
        STORAGE_PATH: statePath,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  return readFindings(await ended(child));
}

describe("the doctor says of the storage", { timeout: 60_000 }, () => {
  test("that it can be written, leaving nothing there", async (t) => {
    const statePath = await temporaryDirectory(t);
    await mkdir(join(statePath, "origin"));
    const variables = { NIXPORT_STATE: statePath, NIXERY_PKGS_PATH: await plantSmallSet(t) };
    const { find } = await doctor(t, variables);
    assert.equal(find("storage", "folder").saw, "can be written, and fsync works");
    assert.deepEqual(await readdir(join(statePath, "origin")), []);
  });

  test("that it is a file", async (t) => {
    const statePath = join(await temporaryDirectory(t), "state");
    await writeFile(statePath, "");
    const variables = { NIXPORT_STATE: statePath, NIXERY_PKGS_PATH: await plantSmallSet(t) };
    const { state, saw } = (await doctor(t, variables)).find("storage", "folder");
    assert.equal(state, "failed");
    assert.match(saw, /no folder|ENOTDIR/);
  });

  test("that it is apart from the state, a line for each", async (t) => {
    const storagePath = await temporaryDirectory(t);
    const variables = { STORAGE_PATH: storagePath, NIXERY_PKGS_PATH: await plantSmallSet(t) };
    const { findings } = await doctor(t, variables);
    const folders = findings.filter(({ check }) => check === "folder");
    assert.equal(folders.length, 2);
    assert.equal(folders[1]?.about, storagePath);
  });

  const rows: readonly [title: string, mount: string, check: string, state: string, saw: RegExp][] =
    [
      [
        "that it is on a filesystem that a restart empties",
        'mount -t tmpfs -o size=2g x "$1"',
        ...(["durable", "warning", /^on tmpfs/] as const),
      ],
      [
        "that it is read-only",
        'mount -t tmpfs -o ro x "$1"',
        ...(["folder", "failed", /^the filesystem is read-only$/] as const),
      ],
      [
        "that it is full",
        'mount -t tmpfs -o size=16k x "$1" && { cat /dev/zero > "$1/x" 2>/dev/null || :; }',
        ...(["folder", "failed", /^no space is left$/] as const),
      ],
      [
        "that it is nearly full",
        'mount -t tmpfs -o size=2m x "$1"',
        ...(["space", "failed", /^2\.\d MB free$/] as const),
      ],
      [
        "that it has no inodes left",
        'mount -t tmpfs -o size=2g,nr_inodes=2 x "$1" && : > "$1/x"',
        ...(["space", "failed", /^no inodes are left$/] as const),
      ],
    ];
  for (const [title, mount, check, state, saw] of rows) {
    test(title, { skip }, async (t) => {
      const found = (await doctorOn(t, mount)).find("storage", check);
      assert.equal(found.state, state, found.saw);
      assert.match(found.saw, saw);
    });
  }
});
