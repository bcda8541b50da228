import { chmodSync } from "node:fs";
import { assert, describe, expect, test } from "vitest";
import type { ArchiveEntry } from "../../../origin/layers/entries.ts";
import { MAX_VIEW_DEPTH, type PackageView, readView } from "../../../origin/layers/view.ts";
import { type StorePath, storePathBase } from "../../../registry/naming/store-path.ts";
import { plant, storePath, type Tree, temporaryDirectory } from "./fixture.ts";

const PROGRAM: Tree = { program: "#!" };

interface Planted {
  readonly store: string;
  readonly root: StorePath;
}

/** Plants a package `pkg-1.0` and what its closure has besides. */
function plantPackage(
  tree: Tree,
  others: Readonly<Record<string, Tree>> = {},
): Planted & {
  readonly closure: readonly StorePath[];
} {
  const store = temporaryDirectory();
  const root = plant(store, storePath("pkg-1.0"), tree);
  const rest = Object.entries(others).map(([name, other]) => plant(store, storePath(name), other));
  return { store, root, closure: [root, ...rest] };
}

function viewOf(tree: Tree, others?: Readonly<Record<string, Tree>>): PackageView {
  const { store, root, closure } = plantPackage(tree, others);
  const result = readView(root, closure, store);
  assert(result.kind === "view");
  return result.view;
}

const ROOT = storePath("pkg-1.0");
const at = (name: string) => `/nix/store/${"0".repeat(32)}-${name}`;

/** `bin/ 755` and `bin/git -> <pkg>/bin/git`. */
function lines(entries: readonly ArchiveEntry[] | null): readonly string[] {
  assert(entries !== null, "no view");
  return entries.map((entry) => {
    if (entry.kind === "directory") return `${entry.path}/ ${entry.mode.toString(8)}`;
    assert(entry.kind === "link");
    return `${entry.path} -> ${entry.target.replace(ROOT, "<pkg>")}`;
  });
}

function assertView(tree: Tree, expected: readonly string[], others?: Record<string, Tree>): void {
  expect(lines(viewOf(tree, others).entries)).toStrictEqual(expected);
}

/** Root is refused nothing. */
function asAnybody<T>(look: () => T): T {
  if (process.geteuid?.() !== 0) return look();
  process.seteuid?.(65_534);
  try {
    return look();
  } finally {
    process.seteuid?.(0);
  }
}

describe("the links of a view", () => {
  test("lead to the path under the package, for files and for links to files", () => {
    assertView(
      {
        holds: {
          bin: { holds: { git: PROGRAM, alias: { link: "git" }, far: { link: at("other/x") } } },
          share: { holds: { man: { holds: { "git.1": "" } }, empty: { holds: {} } } },
        },
      },
      [
        "bin/ 755",
        "bin/alias -> <pkg>/bin/alias",
        "bin/far -> <pkg>/bin/far",
        "bin/git -> <pkg>/bin/git",
        "share/ 755",
        "share/empty/ 755",
        "share/man/ 755",
        "share/man/git.1 -> <pkg>/share/man/git.1",
      ],
      { other: { holds: { x: "" } } },
    );
  });

  test("descend sbin -> bin, so that views merge instead of hiding one another", () => {
    assertView({ holds: { bin: { holds: { fsck: PROGRAM } }, sbin: { link: "bin" } } }, [
      "bin/ 755",
      "bin/fsck -> <pkg>/bin/fsck",
      "sbin/ 755",
      "sbin/fsck -> <pkg>/sbin/fsck",
    ]);
  });

  test("descend a link to a directory of another package of the closure", () => {
    const others = { lib: { holds: { d: { holds: { f: "", again: { link: "." } } } } } };
    assertView(
      { holds: { share: { link: at("lib/d") }, whole: { link: at("lib") } } },
      [
        "share/ 755",
        "share/again -> <pkg>/share/again",
        "share/f -> <pkg>/share/f",
        "whole/ 755",
        "whole/d/ 755",
        "whole/d/again -> <pkg>/whole/d/again",
        "whole/d/f -> <pkg>/whole/d/f",
      ],
      others,
    );
  });

  test("keep a link to a directory above it", () => {
    const tree = {
      holds: { a: { holds: { loop: { link: ".." }, up: { link: "../.." } } }, self: { link: "." } },
    };
    assertView(tree, [
      "a/ 755",
      "a/loop -> <pkg>/a/loop",
      "a/up -> <pkg>/a/up",
      "self -> <pkg>/self",
    ]);
  });

  test("end where two directories link to each other", () => {
    const tree = {
      holds: { a: { holds: { b: { link: "../b" } } }, b: { holds: { a: { link: "../a" } } } },
    };
    assertView(tree, [
      "a/ 755",
      "a/b/ 755",
      "a/b/a -> <pkg>/a/b/a",
      "b/ 755",
      "b/a/ 755",
      "b/a/b -> <pkg>/b/a/b",
    ]);
  });

  test("keep a link to a directory outside the closure, though the host has it", () => {
    const host = temporaryDirectory();
    const { store, root, closure } = plantPackage({
      holds: { x: { holds: { host: { link: host }, store: { link: at("stranger/d") } } } },
    });
    plant(store, storePath("stranger"), { holds: { d: { holds: { f: "" } } } });
    const result = readView(root, closure, store);
    assert(result.kind === "view");
    expect(lines(result.view.entries)).toStrictEqual([
      "x/ 755",
      "x/host -> <pkg>/x/host",
      "x/store -> <pkg>/x/store",
    ]);
  });

  test("do not lead through what is outside, even back into the closure", () => {
    const { store, root, closure } = plantPackage({
      holds: { d: { holds: { f: "" } }, x: { holds: {} } },
    });
    const base = storePathBase(root);
    plant(store, storePath("stranger"), { holds: { back: { link: `${root}/d` } } });
    plant(`${store}/${base}`, storePath("way"), { link: `${at("stranger")}/back` });
    const result = readView(root, closure, store);
    assert(result.kind === "view");
    const way = storePathBase(storePath("way"));
    expect(lines(result.view.entries)).toContain(`${way} -> <pkg>/${way}`);
  });

  test("are kept when dangling or circular", () => {
    const tree = {
      holds: {
        x: { holds: { no: { link: "nowhere" }, one: { link: "two" }, two: { link: "one" } } },
      },
    };
    assertView(tree, [
      "x/ 755",
      "x/no -> <pkg>/x/no",
      "x/one -> <pkg>/x/one",
      "x/two -> <pkg>/x/two",
    ]);
  });

  test("are kept where they lead to what no file can be called", () => {
    const long = "n".repeat(256);
    const tree = { holds: { x: { holds: { long: { link: long }, way: { link: `${long}/f` } } } } };
    assertView(tree, ["x/ 755", "x/long -> <pkg>/x/long", "x/way -> <pkg>/x/way"]);
  });

  test("are kept where they lead through what is not for this user", () => {
    const shut = { holds: { d: { holds: { f: "" } } } };
    const { store, root, closure } = plantPackage(
      { holds: { x: { link: `${at("shut-1.0")}/d` } } },
      { "shut-1.0": shut },
    );
    chmodSync(store, 0o755);
    const place = `${store}/${storePathBase(storePath("shut-1.0"))}`;
    chmodSync(place, 0o644);
    const result = asAnybody(() => readView(root, closure, store));
    chmodSync(place, 0o755);
    assert(result.kind === "view");
    expect(lines(result.view.entries)).toStrictEqual(["x -> <pkg>/x"]);
  });

  test("follow forty links to a directory, as the kernel does, and no more", () => {
    const links = Array.from({ length: 41 }, (_, at) => [
      `l${at}`,
      { link: at === 0 ? "d" : `l${at - 1}` },
    ]);
    const view = viewOf({ holds: { d: { holds: { f: "" } }, ...Object.fromEntries(links) } });
    const shown = lines(view.entries);
    expect(shown).toContain("l39/ 755");
    expect(shown).toContain("l40 -> <pkg>/l40");
  });

  test("of two packages with the same file are of each package's own", () => {
    const store = temporaryDirectory();
    const tree = { holds: { bin: { holds: { same: PROGRAM } } } };
    const views = ["one-1", "two-1"].map((name) => {
      const root = plant(store, storePath(name), tree);
      const result = readView(root, [root], store);
      assert(result.kind === "view");
      return lines(result.view.entries);
    });
    expect(views).toStrictEqual([
      ["bin/ 755", `bin/same -> ${at("one-1")}/bin/same`],
      ["bin/ 755", `bin/same -> ${at("two-1")}/bin/same`],
    ]);
  });

  test("keep names that are no UTF-8", () => {
    assertView({ holds: { "\xff": "", "\xc3\xa4": { holds: { b: "" } } } }, [
      "\xc3\xa4/ 755",
      "\xc3\xa4/b -> <pkg>/\xc3\xa4/b",
      "\xff -> <pkg>/\xff",
    ]);
  });
});

describe("what a view leaves out", () => {
  test("is Nix's notes, the store, what the runtime mounts, and orders to delete", () => {
    const inside = { holds: { f: "" } };
    assertView(
      {
        holds: {
          ".wh.bin": "",
          dev: inside,
          etc: { holds: { hosts: "", "resolv.conf": "", hostname: "", mtab: "", "git.conf": "" } },
          nix: { holds: { store: inside } },
          "nix-support": inside,
          proc: inside,
          sys: { link: "share" },
          share: { holds: { nix: inside, proc: "" } },
        },
      },
      [
        "etc/ 755",
        "etc/git.conf -> <pkg>/etc/git.conf",
        "share/ 755",
        "share/nix/ 755",
        "share/nix/f -> <pkg>/share/nix/f",
        "share/proc -> <pkg>/share/proc",
      ],
    );
  });

  test("is a file or link where images have a directory", () => {
    assertView(
      {
        holds: {
          bin: "",
          etc: { link: "/etc" },
          lib: { link: "nowhere" },
          tmp: { link: "/nix/var" },
          usr: { holds: { bin: { link: "../.." }, local: { link: "nowhere" } } },
          var: { holds: { tmp: "" } },
        },
      },
      ["usr/ 755", "var/ 755"],
    );
  });

  test("is no link to a directory that the base has, only a directory of one's own", () => {
    const tree = { holds: { run: { link: "/run" }, lock: { holds: { x: "" } } } };
    assertView({ holds: { var: tree } }, [
      ...["var/ 755", "var/lock/ 755", "var/lock/x -> <pkg>/var/lock/x"],
    ]);
  });

  test("is no mode of the base: /tmp stays sticky and /root private", () => {
    const empty = { holds: {} };
    assertView({ holds: { root: empty, tmp: empty, var: { holds: { tmp: empty } } } }, [
      "root/ 700",
      "tmp/ 1777",
      "var/ 755",
      "var/tmp/ 1777",
    ]);
  });

  test("is everything for an output that is a file, or a link to one", () => {
    for (const tree of ["text", PROGRAM, { link: at("other") }]) {
      const view = viewOf(tree, { other: "text" });
      const locale = { hasUtf8: false, hasZones: false, looksElsewhereForZones: false };
      const nothing = {
        entries: null,
        provides: [],
        fallbacks: [],
        above: [],
        program: null,
        locale,
        modules: [],
      };
      expect(view).toStrictEqual(nothing);
    }
  });

  test("is everything for an empty output", () => {
    expect(viewOf({ holds: {} }).entries).toBeNull();
    expect(viewOf({ holds: { "nix-support": { holds: { x: "" } } } }).entries).toBeNull();
  });

  test("is nothing of an output that is a link to a directory", () => {
    const others = { real: { holds: { bin: { holds: { x: PROGRAM } } } } };
    assertView({ link: at("real") }, ["bin/ 755", "bin/x -> <pkg>/bin/x"], others);
  });
});

describe("the limits of a view", () => {
  test("name a tree that is too deep", () => {
    const deep = (levels: number): Tree =>
      levels === 0 ? { holds: {} } : { holds: { d: deep(levels - 1) } };
    const { store, root } = plantPackage(deep(MAX_VIEW_DEPTH));
    const result = readView(root, [root], store);
    assert(result.kind === "unfit");
    expect(result.reason).toMatch(/-pkg-1\.0 has directories more than 64 deep: d\/d\//);
    const fitting = plantPackage(deep(MAX_VIEW_DEPTH - 1));
    expect(readView(root, [root], fitting.store).kind).toBe("view");
  });

  test("stop a tree whose links multiply", () => {
    // Twenty directories that all link to one another make more walks than there are atoms.
    const names = Array.from({ length: 20 }, (_, at) => `d${at}`);
    const links = Object.fromEntries(names.map((name) => [name, { link: `../${name}` }]));
    const { store, root } = plantPackage({
      holds: Object.fromEntries(names.map((name) => [name, { holds: links }])),
    });
    const result = readView(root, [root], store);
    assert(result.kind === "unfit");
    expect(result.reason).toMatch(/more than 200000 files/);
  });
});

describe("what a view provides", () => {
  const bin = (...names: string[]): Tree => ({
    holds: { bin: { holds: Object.fromEntries(names.map((name) => [name, PROGRAM])) } },
  });

  test("gains /bin/sh from bash and /usr/bin/env from env", () => {
    const view = viewOf(bin("bash", "env"));
    expect(lines(view.entries)).toStrictEqual([
      "bin/ 755",
      "bin/bash -> <pkg>/bin/bash",
      "bin/env -> <pkg>/bin/env",
      "bin/sh -> <pkg>/bin/bash",
      "usr/bin/env -> <pkg>/bin/env",
    ]);
    expect(view.provides).toStrictEqual(["/bin/sh", "/usr/bin/env", "/bin/bash"]);
    expect(view.fallbacks).toStrictEqual([]);
  });

  test("keeps a sh and an env of the package's own", () => {
    const tree = {
      holds: {
        bin: { holds: { bash: PROGRAM, env: PROGRAM, sh: { link: "bash" } } },
        usr: { holds: { bin: { holds: { env: PROGRAM } } } },
      },
    };
    const view = viewOf(tree);
    expect(lines(view.entries)).toContain("bin/sh -> <pkg>/bin/sh");
    expect(lines(view.entries)).toContain("usr/bin/env -> <pkg>/usr/bin/env");
    expect(view.provides).toStrictEqual(["/bin/sh", "/usr/bin/env", "/bin/bash"]);
  });

  test("is nothing that cannot run", () => {
    const tree = { holds: { bin: { holds: { bash: { link: "nowhere" }, env: "text" } } } };
    const view = viewOf(tree);
    expect(lines(view.entries)).toStrictEqual([
      "bin/ 755",
      "bin/bash -> <pkg>/bin/bash",
      "bin/env -> <pkg>/bin/env",
    ]);
    expect(view.provides).toStrictEqual([]);
  });

  test("falls back to the closure: a real sh before bash, and the first path by its bytes", () => {
    const others = { a: bin("bash"), c: bin("sh", "env"), b: bin("sh", "env"), d: "text" };
    expect(viewOf(bin("git"), others).fallbacks).toStrictEqual([
      { path: "/bin/sh", target: `${at("b")}/bin/sh` },
      { path: "/usr/bin/env", target: `${at("b")}/bin/env` },
    ]);
    expect(viewOf(bin("git", "sh"), { z: bin("bash"), y: bin("bash") }).fallbacks).toStrictEqual(
      [],
    );
    expect(viewOf("text", { z: bin("bash"), y: bin("bash") }).fallbacks).toStrictEqual([
      { path: "/bin/sh", target: `${at("y")}/bin/bash` },
    ]);
  });

  test("has the program named like the package, else the only one", () => {
    expect(viewOf(bin("pkg", "pkg-helper")).program).toBe("pkg");
    expect(viewOf(bin("rg", ".rg-wrapped")).program).toBe("rg");
    expect(viewOf(bin("one", "two")).program).toBeNull();
    expect(viewOf({ holds: { bin: { holds: { pkg: "no program" } } } }).program).toBeNull();
    expect(viewOf({ holds: { share: { holds: {} } } }).program).toBeNull();
  });
});
