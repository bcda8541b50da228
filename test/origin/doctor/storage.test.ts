// What the doctor says of the folders where an origin keeps things, on filesystems of its own: a
// namespace of mounts that ends with the command.

import { spawn, spawnSync } from "node:child_process";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../../skip-where.ts";
import { ended } from "../command/command.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { missingEmulator, startEmulator } from "../storage/emulator.ts";
import { doctor, plantSmallSet, readFindings } from "./fixture.ts";

const onEmulator = skipWhere(await missingEmulator());
/** Google's library looks for no machine of Google's. */
const NO_MACHINE = { METADATA_SERVER_DETECTION: "none" };
const COMMAND = fileURLToPath(new URL("../../../origin/command/nixport.ts", import.meta.url));
const mounts = ["--mount", "--propagation", "private"];
const canMount =
  spawnSync("unshare", [...mounts, "mount", "-t", "tmpfs", "x", "/mnt"]).status === 0;
const skip = canMount ? false : "mounts need root";

/** Runs the doctor after `mount` has been run, a script with the state's folder as $1. */
async function doctorOn(onEnd: Ending, mount: string) {
  const statePath = await temporaryDirectory(onEnd);
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
        ...{ NIXPORT_STATE: statePath, NIXERY_PKGS_PATH: await plantSmallSet(onEnd) },
        STORAGE_PATH: statePath,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  return readFindings(await ended(child));
}

describe("the doctor says of the storage", { timeout: 60_000 }, () => {
  test("that it can be written, leaving nothing there", async () => {
    const statePath = await temporaryDirectory(onTestFinished);
    await mkdir(join(statePath, "origin"));
    const variables = {
      NIXPORT_STATE: statePath,
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
    };
    const { find } = await doctor(onTestFinished, variables);
    expect(find("storage", "folder").saw).toBe("can be written, and fsync works");
    expect(await readdir(join(statePath, "origin"))).toStrictEqual([]);
  });

  const signing = "can be written, but blobs are streamed, for no address can be signed";
  const buckets: readonly (readonly [
    what: string,
    env: Readonly<Record<string, string>>,
    state: string,
    saw: RegExp,
  ])[] = [
    ["can be used", { NIXPORT_REDIRECT: "never" }, "ok", /^can be written, read and cleared$/],
    ["signs no addresses", NO_MACHINE, "warning", new RegExp(`^${signing}: .*credentials`)],
    ["is not there", { GCS_BUCKET: "no-such-bucket" }, "failed", /^Not Found$/],
  ];
  test.for(buckets)("that its bucket %s", onEmulator, async ([, env, state, saw]) => {
    const emulator = await startEmulator(onTestFinished);
    const name = await emulator.makeBucket();
    const { find } = await doctor(onTestFinished, {
      ...{ NIXPORT_STATE: await temporaryDirectory(onTestFinished) },
      ...{ NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished) },
      ...{ NIXERY_STORAGE_BACKEND: "gcs", GCS_BUCKET: name, STORAGE_EMULATOR_HOST: emulator.url },
      ...env,
    });
    const found = find("storage", "bucket");
    expect(found).toMatchObject({ state, about: env.GCS_BUCKET ?? name });
    expect(found.saw).toMatch(saw);
    const left = await fetch(`${emulator.url}/storage/v1/b/${name}/o`);
    expect(await left.json()).not.toHaveProperty("items");
  });

  test("that it is a file", async () => {
    const statePath = join(await temporaryDirectory(onTestFinished), "state");
    await writeFile(statePath, "");
    const variables = {
      NIXPORT_STATE: statePath,
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
    };
    const { state, saw } = (await doctor(onTestFinished, variables)).find("storage", "folder");
    expect(state).toBe("failed");
    expect(saw).toMatch(/no folder|ENOTDIR/);
  });

  test("that it is apart from the state, a line for each", async () => {
    const storagePath = await temporaryDirectory(onTestFinished);
    const variables = {
      STORAGE_PATH: storagePath,
      NIXERY_PKGS_PATH: await plantSmallSet(onTestFinished),
    };
    const { findings } = await doctor(onTestFinished, variables);
    const folders = findings.filter(({ check }) => check === "folder");
    expect(folders).toHaveLength(2);
    expect(folders[1]?.about).toBe(storagePath);
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
  test.for(rows)("%s", skipWhere(skip), async ([, mount, check, state, saw]) => {
    const found = (await doctorOn(onTestFinished, mount)).find("storage", check);
    expect(found.state, found.saw).toBe(state);
    expect(found.saw).toMatch(saw);
  });
});
