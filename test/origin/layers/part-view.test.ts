// The views of several outputs as one, equal to what overlay makes of them.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
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
  assert.ok(result.kind === "view");
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
    const [output = assert.fail()] = outputs;
    assert.deepEqual({ kind: "view", view }, readView(output, outputs, store));
  });

  test("merges directories, and shows the first output's file", () => {
    const { lines } = viewOf({
      a: dir({ bin: dir({ ls: PROGRAM, a: PROGRAM }) }),
      b: dir({ bin: dir({ ls: PROGRAM, b: PROGRAM }), share: dir({ b: "text" }) }),
    });
    assert.deepEqual(lines, [
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
    assert.deepEqual(viewOf({ a: file, b: tree }).lines, ["share/", "share/x -> a/share/x"]);
    assert.deepEqual(viewOf({ a: tree, b: file }).lines, [
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
    assert.deepEqual(view.provides, ["/bin/sh", "/bin/bash"]);
    assert.deepEqual(view.fallbacks, []);
    assert.equal(view.program, "bash");
  });

  test("is nothing where no output has anything to link", () => {
    assert.equal(viewOf({ a: "a file", b: "another" }).view.entries, null);
  });
});

describe("the view of the ground", () => {
  test("has the base below its outputs, with the modes that directories have there", () => {
    const { view, lines } = viewOf(
      { a: dir({ etc: dir({ passwd: "own", ssl: dir({ "ca.crt": "text" }) }), tmp: dir({}) }) },
      "ground",
    );
    assert.ok(lines.includes("etc/passwd -> a/etc/passwd"));
    assert.ok(lines.includes("etc/ssl/ca.crt -> a/etc/ssl/ca.crt"));
    assert.ok(lines.includes("etc/nsswitch.conf"));
    const tmp = view.entries?.find(({ path }) => path === "tmp");
    assert.ok(tmp?.kind === "directory" && tmp.mode === 0o1777);
  });

  test("is the base alone where no package is in it", () => {
    const { view } = viewOf({}, "ground");
    assert.deepEqual(archiveEntries(view.entries ?? []), archiveEntries(BASE_ENTRIES));
  });
});
