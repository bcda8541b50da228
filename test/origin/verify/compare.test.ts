import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { assert, describe, expect, test } from "vitest";
import { differences } from "../../../origin/verify/compare.ts";
import type { ImageContent, LayerContent } from "../../../origin/verify/published.ts";
import { parseReference } from "../../../origin/verify/reference.ts";
import type { Variant } from "../../../registry/image/variant.ts";
import { type Digest, parseDigest } from "../../../registry/naming/digest.ts";
import { packingIdOf } from "../../registry/fixture.ts";

function digest(letter: string): Digest {
  const parsed = parseDigest(`sha256:${letter.repeat(64)}`);
  assert(parsed);
  return parsed;
}

const base: LayerContent = { digest: digest("a"), diffId: digest("b"), holds: "base" };
const git: LayerContent = { digest: digest("c"), diffId: digest("d"), holds: "git-2.39" };
const otherGit: LayerContent = { ...git, digest: digest("e"), diffId: digest("f") };

interface Made {
  readonly layers: readonly LayerContent[];
  readonly config?: unknown;
  readonly manifest?: unknown;
  readonly packing?: string;
  readonly variant?: Variant;
  readonly stored?: Uint8Array;
}

function image(letter: string, made: Made): ImageContent {
  const { layers, config = {}, manifest = {}, packing = "zstd-1", stored } = made;
  return {
    ...{ digest: digest(letter), architecture: "amd64", layers, config, manifest },
    packing: packingIdOf(packing),
    variant: made.variant ?? "oci-zstd",
    async *open(layer) {
      if (stored === undefined) throw new Error(`${layer} is not here`);
      for (let at = 0; at < stored.length; at += 1000) yield stored.subarray(at, at + 1000);
    },
  };
}

describe("differences", () => {
  test("are none between images of one digest", async () => {
    const one = image("1", { layers: [base] });
    expect(await differences(one, one)).toStrictEqual([]);
  });

  const config = { config: { Env: ["A=1", "B=2"], User: "0" } };
  const cases: readonly [string, Made, Made, readonly RegExp[]][] = [
    [
      "a layer only here",
      { layers: [base] },
      { layers: [base, git] },
      [/^layer only here: git-2.39 \(sha256:c+\)$/],
    ],
    [
      "a layer only there",
      { layers: [base, git] },
      { layers: [base] },
      [/^layer only in the registry: git-2.39 \(sha256:c+\)$/],
    ],
    [
      "another compressor",
      { layers: [base, git] },
      { layers: [base, { ...git, digest: digest("e") }] },
      [
        /^layer of git-2.39: in the registry sha256:c+, here sha256:e+$/,
        /^ {2}the same files, compressed otherwise$/,
      ],
    ],
    [
      "a layer that the registry has lost",
      { layers: [base, git] },
      { layers: [base, otherGit] },
      [/^layer of git-2.39: /, /^ {2}what is in them cannot be compared: sha256:c+ is not here$/],
    ],
    [
      "layers in another order",
      { layers: [base, git], config: { rootfs: 1 } },
      { layers: [git, base], config: { rootfs: 2 } },
      [/^layers in another order$/],
    ],
    [
      "another packing",
      { layers: [base], packing: "zstd-1" },
      { layers: [base], packing: "zstd-2" },
      [/^packed otherwise: in the registry zstd-1, here zstd-2; /],
    ],
    [
      "fields of the config",
      { layers: [base], config },
      { layers: [base], config: { config: { Env: ["A=1", "B=3", "C=4"], Cmd: ["x"] } } },
      [
        /^config config.Env\[1\]: in the registry "B=2", here "B=3"$/,
        /^config config.Env\[2\]: in the registry absent, here "C=4"$/,
        /^config config.User: in the registry "0", here absent$/,
        /^config config.Cmd: in the registry absent, here \["x"\]$/,
      ],
    ],
    [
      "what a layer is said to hold",
      { layers: [base], config: { history: [{ created_by: "a" }] } },
      { layers: [base], config: { history: [{ created_by: "b" }] } },
      [/^config history\[0\].created_by: in the registry "a", here "b"$/],
    ],
    [
      "fields of the manifest",
      { layers: [base], manifest: { mediaType: "a", layers: [1] } },
      { layers: [base], manifest: { mediaType: "b", layers: [2] } },
      [/^manifest mediaType: in the registry "a", here "b"$/],
    ],
    ["no value", { layers: [base] }, { layers: [base] }, [/^the same values, written otherwise$/]],
  ];
  test.for(cases)("name %s", async ([, theirs, ours, expected]) => {
    const said = await differences(image("1", theirs), image("2", ours));
    expect(said, said.join("\n")).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(said[index] ?? "").toMatch(pattern);
  });

  test("name twenty fields at most, however many differ", async () => {
    const fields = (value: number) => ({ many: Array.from({ length: 50 }, () => value) });
    const [one, two] = [1, 2].map((value) =>
      image(String(value), { layers: [base], config: fields(value) }),
    ) as [ImageContent, ImageContent];
    const said = await differences(one, two);
    expect(said).toHaveLength(21);
    expect(said.at(-1)).toBe("and 30 fields more");
  });
});

type File = readonly [path: string, content: string, more?: { mode?: number; mtime?: Date }];

async function tarOf(files: readonly File[]): Promise<Buffer> {
  const archive = pack();
  for (const [name, content, more] of files) {
    archive.entry({ name, mode: 0o644, mtime: new Date(1000), ...more }, content);
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** As ours are: several frames or members, which end anywhere. */
function stored(tar: Buffer, variant: Variant): Buffer {
  const compress = variant === "oci-zstd" ? zstdCompressSync : gzipSync;
  const parts = [0, 1, 2, 3].map((part) =>
    tar.subarray(part * 700, part < 3 ? (part + 1) * 700 : undefined),
  );
  return Buffer.concat(parts.map((part) => compress(part)));
}

describe("two layers of the same paths", () => {
  const large = "x".repeat(100_000);
  const cases: readonly [string, readonly File[], readonly File[], string][] = [
    [
      "mode",
      [["a/b", "1", { mode: 0o755 }]],
      [["a/b", "1"]],
      "/a/b: mode 755 in the registry, 644 here",
    ],
    [
      "time",
      [
        ["a", ""],
        ["b", "1"],
      ],
      [
        ["a", ""],
        ["b", "1", { mtime: new Date(5000) }],
      ],
      "/b: time 1 in the registry, 5 here",
    ],
    ["size", [["a", "11"]], [["a", "1"]], "/a: size 2 in the registry, 1 here"],
    [
      "content",
      [
        ["a", "1"],
        ["b", `${large}1`],
      ],
      [
        ["a", "1"],
        ["b", `${large}2`],
      ],
      "/b differs from its byte 100000 on",
    ],
    [
      "a path more here",
      [["a", "1"]],
      [
        ["a", "1"],
        ["./b", ""],
      ],
      "/b is only here",
    ],
    [
      "a path more there",
      [
        ["a", "1"],
        ["b", ""],
      ],
      [["a", "1"]],
      "/b is only in the registry",
    ],
    [
      "another path",
      [
        ["a", "1"],
        ["b", ""],
      ],
      [
        ["a", "1"],
        ["c", ""],
      ],
      "the registry has /b where there is /c here",
    ],
    ["nothing", [["a", large]], [["a", large]], "the same files, archived otherwise"],
  ];
  for (const [what, theirs, ours, expected] of cases) {
    for (const variant of ["oci-zstd", "docker-gzip"] as const) {
      test(`differ first in ${what}, as ${variant}`, async () => {
        const [one, two] = [
          image("1", { layers: [git], variant, stored: stored(await tarOf(theirs), variant) }),
          image("2", { layers: [otherGit], variant, stored: stored(await tarOf(ours), variant) }),
        ];
        expect((await differences(one, two))[1]).toBe(`  ${expected}`);
      });
    }
  }

  test("are told not to be comparable where one is cut short, or is something else", async () => {
    for (const variant of ["oci-zstd", "docker-gzip"] as const) {
      const whole = stored(await tarOf([["a", large]]), variant);
      const other = image("2", { layers: [otherGit], variant, stored: whole });
      for (const bytes of [whole.subarray(0, -20), Buffer.from("no layer at all")]) {
        const said = await differences(
          image("1", { layers: [git], variant, stored: bytes }),
          other,
        );
        expect(said[1] ?? "").toMatch(/cannot be compared: ./);
      }
    }
  });
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
      const image = parseReference(text, registry, local);
      const read =
        typeof image === "string" ? undefined : [image.registryUrl, image.name, image.tag];
      expect(read).toStrictEqual(expected);
    });
  }
});
