// The views of several outputs as one, equal to what overlay makes of them.

import { assert, describe, expect, test } from "vitest";
import { BASE_ENTRIES } from "../../../origin/layers/base.ts";
import { archiveEntries } from "../../../origin/layers/entries.ts";
import { readPartView } from "../../../origin/layers/part-view.ts";
import { readView } from "../../../origin/layers/view.ts";
import type { PartKind } from "../../../registry/image/part.ts";
import { plant, storePath, type Tree, temporaryDirectory } from "./fixture.ts";

const PROGRAM: Tree = { program: "#!" };
const dir = (holds: Record<string, Tree>): Tree => ({ holds });

/** The view of outputs named `a`, `b`…, and its lines without the store's part of targets. */
function viewOf(trees: Readonly<Record<string, Tree>>, kind: PartKind = "package") {
  const store = temporaryDirectory();
  const outputs = Object.entries(trees).map(([name, tree]) => plant(store, storePath(name), tree));
  const result = readPartView({ kind, outputs }, outputs, store);
  assert(result.kind === "view");
  const { view } = result;
  const lines = (view.entries ?? []).map((entry) =>
    entry.kind === "link"
      ? `${entry.path} -> ${entry.target.replace(/^\/nix\/store\/0+-/, "")}`
      : `${entry.path}${entry.kind === "directory" ? "/" : ""}`,
  );
  return { view, lines: lines.sort(), store, outputs };
}

describe("the view of a part", () => {
  test("is that of its output where there is one", () => {
    const { view, store, outputs } = viewOf({ a: dir({ bin: dir({ a: PROGRAM }) }) });
    const [output = expect.unreachable()] = outputs;
    expect({ kind: "view", view }).toStrictEqual(readView(output, outputs, store));
  });

  test("merges directories, and shows the first output's file", () => {
    const { lines } = viewOf({
      a: dir({ bin: dir({ ls: PROGRAM, a: PROGRAM }) }),
      b: dir({ bin: dir({ ls: PROGRAM, b: PROGRAM }), share: dir({ b: "text" }) }),
    });
    expect(lines).toStrictEqual([
      "bin/",
      "bin/a -> a/bin/a",
      "bin/b -> b/bin/b",
      "bin/ls -> a/bin/ls",
      "share/",
      "share/b -> b/share/b",
    ]);
  });

  test("hides what the first output has another kind of file for", () => {
    const file = dir({ share: dir({ x: "text" }) });
    const tree = dir({ share: dir({ x: dir({ y: dir({ z: "text" }) }) }) });
    expect(viewOf({ a: file, b: tree }).lines).toStrictEqual(["share/", "share/x -> a/share/x"]);
    expect(viewOf({ a: tree, b: file }).lines).toStrictEqual([
      "share/",
      "share/x/",
      "share/x/y/",
      "share/x/y/z -> a/share/x/y/z",
    ]);
  });

  test("provides what any output provides, and falls back for the rest", () => {
    const { view } = viewOf({
      a: dir({ share: dir({ a: "text" }) }),
      b: dir({ bin: dir({ bash: PROGRAM }) }),
    });
    expect(view.provides).toStrictEqual(["/bin/sh", "/bin/bash"]);
    expect(view.fallbacks).toStrictEqual([]);
    expect(view.program).toBe("bash");
  });

  test("is nothing where no output has anything to link", () => {
    expect(viewOf({ a: "a file", b: "another" }).view.entries).toBeNull();
  });
});

describe("the view of what fhs needs", () => {
  const nixLd = dir({ libexec: dir({ "nix-ld": PROGRAM }) });
  const glibc = (loader: string) => dir({ lib: dir({ [loader]: PROGRAM, "libc.so.6": "text" }) });

  test.for([
    { loader: "ld-linux-x86-64.so.2", place: "/lib64/ld-linux-x86-64.so.2" },
    { loader: "ld-linux-aarch64.so.1", place: "/lib/ld-linux-aarch64.so.1" },
  ])("puts nix-ld where programs look for $loader, above all views", ({ loader, place }) => {
    const { view, lines, outputs } = viewOf({ a: nixLd, b: glibc(loader) }, "fhs");
    expect(lines).toContain("lib/libc.so.6 -> b/lib/libc.so.6");
    expect(view.above).toStrictEqual([
      { path: place, target: `${outputs[0]}/libexec/nix-ld` },
      { path: "/lib/ld.so", target: `${outputs[1]}/lib/${loader}` },
      { path: "/run/current-system/sw/share/nix-ld/lib", target: "/lib" },
      { path: "/usr/bin", target: "../bin" },
      { path: "/usr/lib64", target: "../lib" },
    ]);
  });

  test.for([
    { lacks: /-a has no libexec\/nix-ld/, trees: { a: dir({}), b: glibc("ld-linux-x86-64.so.2") } },
    { lacks: /-b has no loader of glibc/, trees: { a: nixLd, b: glibc("ld-musl-x86_64.so.1") } },
  ])("is refused: $lacks", ({ lacks, trees }) => {
    const store = temporaryDirectory();
    const outputs = Object.entries(trees).map(([name, tree]) =>
      plant(store, storePath(name), tree),
    );
    const result = readPartView({ kind: "fhs", outputs }, outputs, store);
    assert(result.kind === "unfit");
    expect(result.reason).toMatch(lacks);
  });

  test("has no such links of any other part", () => {
    const { view } = viewOf({ a: nixLd, b: glibc("ld-linux-x86-64.so.2") }, "shell");
    expect(view.above).toStrictEqual([]);
  });
});

describe("the view of the ground", () => {
  test("has the base below its outputs, with the modes that directories have there", () => {
    const { view, lines } = viewOf(
      { a: dir({ etc: dir({ passwd: "own", ssl: dir({ "ca.crt": "text" }) }), tmp: dir({}) }) },
      "ground",
    );
    expect(lines).toContain("etc/passwd -> a/etc/passwd");
    expect(lines).toContain("etc/ssl/ca.crt -> a/etc/ssl/ca.crt");
    expect(lines).toContain("etc/nsswitch.conf");
    const tmp = view.entries?.find(({ path }) => path === "tmp");
    assert(tmp?.kind === "directory" && tmp.mode === 0o1777);
  });

  test("is the base alone where no package is in it", () => {
    const { view } = viewOf({}, "ground");
    expect(archiveEntries(view.entries ?? [])).toStrictEqual(archiveEntries(BASE_ENTRIES));
  });
});
