import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseImage } from "../../../origin/command/verify.ts";
import { differences } from "../../../origin/verify/compare.ts";
import type { ImageContent, LayerContent } from "../../../origin/verify/published.ts";
import { type Digest, parseDigest } from "../../../registry/digest.ts";

function digest(letter: string): Digest {
  const parsed = parseDigest(`sha256:${letter.repeat(64)}`);
  assert(parsed);
  return parsed;
}

const base: LayerContent = { digest: digest("a"), diffId: digest("b"), holds: "base" };
const git: LayerContent = { digest: digest("c"), diffId: digest("d"), holds: "git-2.39" };

function image(letter: string, layers: readonly LayerContent[]): ImageContent {
  return { digest: digest(letter), architecture: "amd64", configDigest: digest(letter), layers };
}

describe("differences", () => {
  test("are none between images of one digest", () => {
    assert.deepEqual(differences(image("1", [base]), image("1", [base])), []);
  });

  const cases: readonly [string, readonly LayerContent[], readonly LayerContent[], RegExp[]][] = [
    ["a layer only here", [base], [base, git], [/layer 2 of 2: only here: sha256:c+ \(git-2.39\)/]],
    ["a layer only there", [base, git], [base], [/layer 2 of 2: only in the registry: sha256:c+/]],
    [
      "another compressor",
      [base, git],
      [base, { ...git, digest: digest("e") }],
      [/layer 2 of 2: in the registry sha256:c+/, /here sha256:e+/, /compressed otherwise/],
    ],
    [
      "other files",
      [base, git],
      [base, { ...git, digest: digest("e"), diffId: digest("f") }],
      [/layer 2 of 2: in the registry sha256:c+/, /here sha256:e+/],
    ],
    ["the config alone", [base], [base], []],
  ];
  for (const [what, theirs, ours, expected] of cases) {
    test(`name ${what}`, () => {
      const said = differences(image("1", theirs), image("2", ours));
      assert.equal(said.length, expected.length + 1);
      for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? "", pattern);
      assert.match(said.at(-1) ?? "", /^config: in the registry sha256:1+, here sha256:2+$/);
    });
  }
});

describe("an image to verify", () => {
  const local = "http://127.0.0.1:8787";
  const cases: readonly [string, string | null, readonly [string, string, string] | undefined][] = [
    ["jq", null, [local, "jq", "latest"]],
    ["shell/git:nixos-25.11", null, [local, "shell/git", "nixos-25.11"]],
    ["127.0.0.1:5000/git", null, ["http://127.0.0.1:5000", "git", "latest"]],
    ["[::1]:5000/git", null, ["http://[::1]:5000", "git", "latest"]],
    ["localhost/git", null, ["http://localhost", "git", "latest"]],
    ["example.org/shell/git:x", null, ["https://example.org", "shell/git", "x"]],
    ["python3packages.numpy", null, [local, "python3packages.numpy", "latest"]],
    ["a.b/git", "http://127.0.0.1:1", ["http://127.0.0.1:1", "a.b/git", "latest"]],
    [`git@sha256:${"a".repeat(64)}`, null, undefined],
    ["", null, undefined],
    ["git?tag=x", null, undefined],
    ["git/../blobs", null, undefined],
    ["git:.x", null, undefined],
    ["htop/shell", null, undefined],
    ["git", "ftp://example.org", undefined],
    ["git", "not a url", undefined],
  ];
  for (const [text, registry, expected] of cases) {
    test(`is read from ${JSON.stringify(text)}${registry === null ? "" : ` at ${registry}`}`, () => {
      const image = parseImage(text, registry, local);
      const read =
        typeof image === "string" ? undefined : [image.registryUrl, image.name, image.tag];
      assert.deepEqual(read, expected);
    });
  }
});
