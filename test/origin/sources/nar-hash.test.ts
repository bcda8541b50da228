// The NAR hash against Nix's own, tree by tree.

import { execFileSync } from "node:child_process";
import { chmod, cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { narHash } from "../../../origin/sources/nar-hash.ts";
import { patternOf } from "../../contract/blob-store.ts";
import { temporaryDirectory } from "../fixture.ts";

function hashOfNix(path: string): string {
  return execFileSync("nix-hash", ["--type", "sha256", path], { encoding: "utf8" }).trim();
}

const TREES: Readonly<Record<string, (root: string) => Promise<void>>> = {
  "an empty folder": async () => {},
  "a file": (root) => writeFile(join(root, "a"), "content"),
  "an empty file": (root) => writeFile(join(root, "a"), ""),
  "an executable": async (root) => {
    for (const mode of [0o755, 0o744, 0o654, 0o611, 0o600, 0o444]) {
      const path = join(root, mode.toString(8));
      await writeFile(path, "x");
      await chmod(path, mode);
    }
  },
  links: async (root) => {
    await symlink("a", join(root, "dangling"));
    await symlink("/absolute/target", join(root, "absolute"));
    await symlink("..", join(root, "up"));
    await mkdir(join(root, "folder"));
    await symlink("folder", join(root, "to-folder"));
  },
  "empty and nested folders": async (root) => {
    await mkdir(join(root, "a/b/c/d"), { recursive: true });
    await mkdir(join(root, "a/empty"));
    await writeFile(join(root, "a/b/file"), "x");
  },
  "sizes around the padding and the read buffer": async (root) => {
    for (const size of [1, 7, 8, 9, 15, 16, 17, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1]) {
      await writeFile(join(root, `size-${size}`), patternOf(size));
    }
  },
  "names that sort by bytes": async (root) => {
    for (const name of [
      "a",
      "B",
      "a.b",
      "a-b",
      "ab",
      "_",
      "ä",
      "z",
      "Z",
      "10",
      "9",
      "\u{1f600}",
      "\uff5e",
    ]) {
      await writeFile(join(root, name), name);
    }
  },
  "names and targets that are not UTF-8": async (root) => {
    const inRoot = (name: string) => Buffer.from(join(root, name), "latin1");
    for (const name of ["\xff", "\xc3", "\xe4-latin", "z"]) await writeFile(inRoot(name), "x");
    await mkdir(inRoot("folder\xfe"));
    await symlink(Buffer.from("\xff\xfe", "latin1"), inRoot("link\xfd"));
  },
  "a .git further down": async (root) => {
    await mkdir(join(root, "sub/.git"), { recursive: true });
    await writeFile(join(root, "sub/.git/HEAD"), "x");
  },
};

describe("narHash", () => {
  test.for(Object.entries(TREES))("agrees with Nix about %s", async ([, plant]) => {
    const root = await temporaryDirectory(onTestFinished);
    await plant(root);
    expect(await narHash(root)).toBe(hashOfNix(root));
  });

  test("agrees with Nix about a single file and a link", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await writeFile(join(root, "file"), "content");
    await symlink("file", join(root, "link"));
    for (const name of ["file", "link"]) {
      expect(await narHash(join(root, name)), name).toBe(hashOfNix(join(root, name)));
    }
  });

  test("leaves a .git directly below the root out, be it a folder or a file", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await writeFile(join(root, "default.nix"), "{ }");
    const bare = hashOfNix(root);
    await mkdir(join(root, ".git"));
    await writeFile(join(root, ".git/index"), "changes all the time");
    expect(await narHash(root)).toBe(bare);
    await rm(join(root, ".git"), { recursive: true });
    await writeFile(join(root, ".git"), "gitdir: /elsewhere");
    expect(await narHash(root)).toBe(bare);
  });

  test("changes with the content, the name and the mode, and with nothing else", async () => {
    const root = await temporaryDirectory(onTestFinished);
    await writeFile(join(root, "a"), "1");
    const before = await narHash(root);
    const copy = await temporaryDirectory(onTestFinished);
    await cp(root, copy, { recursive: true });
    expect(await narHash(copy)).toBe(before);
    const hashes = new Set([before]);
    await writeFile(join(root, "a"), "2");
    hashes.add(await narHash(root));
    await chmod(join(root, "a"), 0o755);
    hashes.add(await narHash(root));
    await writeFile(join(root, "b"), "2");
    hashes.add(await narHash(root));
    expect(hashes.size).toBe(4);
  });

  test("refuses what Nix cannot pin, and what is not there", async () => {
    const root = await temporaryDirectory(onTestFinished);
    execFileSync("mkfifo", [join(root, "pipe")]);
    await expect(narHash(root)).rejects.toThrow(/pipe is no file, directory or link/);
    await expect(narHash(join(root, "absent"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
