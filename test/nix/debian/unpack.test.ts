// Packages made for the purpose, unpacked by the set's own tools: what becomes of Debian's layouts,
// those of earlier and of later releases. Needs Nix, dpkg-deb and the set that `npm test` generates.

import { createHash } from "node:crypto";
import {
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { nativeTarget } from "../../../nix/debian/architectures.ts";
import {
  type Lock,
  type LockedDeb,
  type LockedPackage,
  lockFileName,
} from "../../../nix/debian/lock.ts";
import { run } from "../../../nix/debian/run.ts";
import { DEBIAN_SET } from "../../e2e/deployment.ts";
import { type Ending, endOfFile, temporaryDirectory } from "../../origin/fixture.ts";
import { skipWhere } from "../../skip-where.ts";

const env = { NIX_CONFIG: "substituters =\nmax-jobs = 2" };
const ready = await Promise.all([
  run("nix-build", ["--version"]),
  run("dpkg-deb", ["--version"]),
  realpath(DEBIAN_SET),
]).then(
  () => true,
  () => false,
);
const lockFile = lockFileName(nativeTarget()?.system ?? "");
const options = { ...skipWhere(!ready && "needs Nix, dpkg-deb and the set"), timeout: 240_000 };

// A text is a program's if it starts with `#!`; what starts with `->` is a link.
type Files = Readonly<Record<string, string>>;

interface Shape {
  readonly debs: readonly Files[];
  readonly dependencies?: readonly string[];
  readonly merged?: readonly string[];
  readonly compression?: string;
}

async function makeDeb(onEnd: Ending, files: Files, compression: string): Promise<LockedDeb> {
  const work = await temporaryDirectory(onEnd);
  const tree = join(work, "tree");
  // The store path of what is unpacked must not be one that an earlier run left.
  const control = `Package: fixture\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.invalid>\nDescription: ${work}\n`;
  for (const [path, content] of Object.entries({ ...files, "DEBIAN/control": control })) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    if (content.startsWith("->")) {
      await run("ln", ["-s", content.slice(2), join(tree, path)]);
    } else {
      await writeFile(join(tree, path), content, {
        mode: content.startsWith("#!") ? 0o755 : 0o644,
      });
    }
  }
  const file = "fixture_1_all.deb";
  const path = join(work, file);
  await run("dpkg-deb", ["--root-owner-group", `-Z${compression}`, "--build", tree, path]);
  await run("nix-store", ["--add-fixed", "sha256", path], { env });
  const bytes = await readFile(path);
  return {
    ...{ package: "fixture", version: "1", file, url: `file://${path}`, sizeBytes: bytes.length },
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

// The store paths of packages, which are in the set besides its own.
async function build(onEnd: Ending, shapes: Readonly<Record<string, Shape>>) {
  const set = join(await temporaryDirectory(onEnd), "set");
  await cp(await realpath(DEBIAN_SET), set, { recursive: true });
  const lock: Lock = JSON.parse(await readFile(join(set, lockFile), "utf8"));
  const packages: Record<string, LockedPackage> = { ...lock.packages };
  for (const [key, shape] of Object.entries(shapes)) {
    const { debs, dependencies = [], merged, compression = "xz" } = shape;
    packages[key] = {
      ...{ name: `${key}-1`, version: "1", description: "a fixture", dependencies, shell: false },
      ...(merged && { merged }),
      debs: await Promise.all(debs.map((files) => makeDeb(onEnd, files, compression))),
    };
  }
  const attributes = Object.fromEntries(Object.keys(shapes).map((key) => [key, { package: key }]));
  await writeFile(join(set, lockFile), JSON.stringify({ ...lock, attributes, packages }));
  const paths: Record<string, string> = {};
  for (const key of Object.keys(shapes)) {
    const args = ["--no-out-link", set, "-A", key];
    paths[key] = (await run("nix-build", args, { env, timeoutMs: 200_000 })).trim();
  }
  return paths;
}

async function treeOf(path = ""): Promise<Files> {
  const entries = await readdir(path, { recursive: true });
  const files = await Promise.all(
    entries.sort().map(async (name) => {
      const stats = await lstat(join(path, name));
      if (stats.isSymbolicLink()) return [[name, `->${await readlink(join(path, name))}`]];
      return stats.isFile() ? [[name, await readFile(join(path, name), "utf8")]] : [];
    }),
  );
  return Object.fromEntries(files.flat());
}

describe("a package unpacked", options, () => {
  const ended = endOfFile();

  const TREE: Files = {
    "bin/daemon": "d\n",
    "bin/game": "g\n",
    "bin/tool": "t\n",
    "lib/part": "p\n",
    "share/data": "s\n",
  };
  const rows: readonly (readonly [string, Shape, Files])[] = [
    [
      "has one tree of two, as up to bookworm",
      {
        debs: [
          {
            ...{ "bin/tool": "t\n", "sbin/daemon": "d\n", "usr/games/game": "g\n" },
            ...{ "lib/part": "p\n", "usr/share/data": "s\n", "usr/share/man/man1/tool.1": "m\n" },
          },
        ],
      },
      TREE,
    ],
    [
      "has one tree where all is below /usr, as since trixie",
      {
        debs: [
          { "usr/bin/tool": "t\n", "usr/sbin/daemon": "d\n", "usr/games/game": "g\n" },
          { "usr/lib/part": "p\n", "usr/share/data": "s\n", "usr/share/doc/tool/README": "m\n" },
        ],
      },
      TREE,
    ],
    [
      "has the file where both trees have one name, and links that stay inside",
      {
        debs: [
          {
            ...{ "usr/bin/tool": "t\n", "bin/tool": "->/usr/bin/tool", "sbin/tool": "->/bin/tool" },
            ...{ "usr/bin/other": "->/etc/alternatives/gone", "usr/lib/alias": "->../bin/tool" },
          },
        ],
      },
      { "bin/tool": "t\n", "lib/alias": "->../bin/tool" },
    ],
    [
      "may be compressed by zstd, as Ubuntu's are",
      { debs: [{ "usr/bin/tool": "t\n" }], compression: "zstd" },
      { "bin/tool": "t\n" },
    ],
    [
      "may be compressed by gzip",
      { debs: [{ "usr/bin/tool": "t\n" }], compression: "gzip" },
      { "bin/tool": "t\n" },
    ],
    [
      "has the fix-ups of all that a circle has made one",
      {
        debs: [{ "usr/bin/gawk": "g\n" }, { "usr/bin/nc.openbsd": "n\n" }],
        merged: ["gawk", "netcat"],
      },
      {
        ...{ "bin/awk": "->gawk", "bin/gawk": "g\n" },
        ...{ "bin/nc": "->nc.openbsd", "bin/nc.openbsd": "n\n", "bin/netcat": "->nc.openbsd" },
      },
    ],
  ];
  test.for(rows)("%s", async ([, shape, expected]) => {
    const { fixture } = await build(ended, { fixture: shape });
    expect(await treeOf(fixture)).toStrictEqual(expected);
  });

  test.for(["lib/terminfo", "usr/share/terminfo"])(
    "has its terminal descriptions as they are in %s",
    async (folder) => {
      const debs = [{ [`${folder}/x/xterm`]: "x\n", "usr/share/tabset/std": "t\n" }];
      const { tty } = await build(ended, { tty: { debs } });
      expect(await treeOf(tty)).toStrictEqual({ "x/xterm": "x\n" });
    },
  );

  test("finds by its own name what a circle has made part of another", async () => {
    // The fix-up of `file` asks for libmagic-mgc.
    const { file = "", whole } = await build(ended, {
      whole: { debs: [{ "usr/lib/file/magic.mgc": "m\n" }], merged: ["libmagic-mgc"] },
      file: { debs: [{ "usr/bin/file": "f\n" }], dependencies: ["whole"] },
    });
    const wrapper = await readFile(join(file, "bin/file"), "utf8");
    expect(wrapper, wrapper).toContain(`${whole}/lib/file/magic.mgc`);
  });

  test("says what is missing", async () => {
    const debs = [{ "usr/share/tabset/std": "t\n" }];
    await expect(build(ended, { tty: { debs } })).rejects.toThrow(/tty: no terminal descriptions/);
  });
});
