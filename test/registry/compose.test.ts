// Compose: that its bytes stay what they were, and what they say.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { compose, type Ingredient, MAX_LAYERS } from "../../registry/compose.ts";
import { digestOf } from "../../registry/digest.ts";
import type { PackageRecord } from "../../registry/record.ts";
import { storePathName } from "../../registry/store-path.ts";
import { VARIANTS } from "../../registry/variant.ts";
import { bundleOf, foundOf, layerOf, recipeOf, recordOf } from "./fixture.ts";
import { composed, ingredientsOf, read } from "./pantry.ts";

const NAMES = [
  "htop",
  "git",
  "shell",
  "shell/git/htop",
  "arm64/shell/git",
  "openssl/perl",
  "git/0git",
];
const GOLDEN = new URL("golden-digests.json", import.meta.url);
const REGENERATE = "UPDATE_GOLDEN=1 node --test test/registry/compose.test.ts";

async function digestOfImage(...args: Parameters<typeof composed>): Promise<string> {
  return (await composed(...args)).manifest.digest;
}

describe("golden digests", async () => {
  const digests: Record<string, string> = {};
  for (const name of NAMES) {
    for (const variant of VARIANTS) {
      digests[`${name} ${variant}`] = await digestOfImage(name, variant);
    }
  }
  if (process.env.UPDATE_GOLDEN === "1") {
    writeFileSync(GOLDEN, `${JSON.stringify(digests, null, 2)}\n`);
  }
  const golden: Readonly<Record<string, string>> = JSON.parse(readFileSync(GOLDEN, "utf8"));
  for (const [image, digest] of Object.entries(digests)) {
    test(`${image} is ${golden[image]?.slice(0, 19)}…`, () => {
      const advice =
        "other bytes for the same input: every image that was composed before is another one now. " +
        `If that is meant, raise COMPOSE_VERSION and run: ${REGENERATE}`;
      assert.equal(digest, golden[image], advice);
    });
  }
  test("there is none of an image that is not composed", () => {
    assert.deepEqual(Object.keys(golden), Object.keys(digests), REGENERATE);
  });
});

describe("compose", () => {
  test("gives one recipe one image, in whatever order the name has it", async () => {
    const digest = await digestOfImage("shell/git/htop");
    for (const name of ["shell/htop/git", "shell/git/htop/git", "shell/nano/htop/git/cacert"]) {
      assert.equal(await digestOfImage(name), digest, name);
    }
    assert.notEqual(await digestOfImage("arm64/shell/git/htop"), digest);
  });

  test("gives the bytes that the digests name, and the same again", async () => {
    for (const variant of VARIANTS) {
      const { image, manifest } = await read("shell/git", variant);
      for (const { bytes, digest } of [image.config, image.manifest]) {
        assert.equal(await digestOf(bytes), digest);
      }
      assert.equal(manifest.config.digest, image.config.digest);
      assert.equal(manifest.config.size, image.config.bytes.length);
      assert.deepEqual(await composed("shell/git", variant), image);
    }
  });

  test("lays the base first, then bundles by popularity, links of closures, views last", async () => {
    const { holds } = await read("git/htop");
    assert.deepEqual(holds, [
      "base: /tmp, /etc/passwd",
      "glibc-2.36",
      "perl-5.36",
      "git-2.39.5 a-1 b-1 c-1 and 2 more",
      "htop-3.2.2",
      "iana-etc-20230215",
      "nss-cacert-3.98",
      "/bin/sh -> /nix/store/dash/bin/sh",
      "/usr/bin/env -> /nix/store/coreutils/bin/env",
      "links: iana-etc-20230215",
      "links: htop-3.2.2",
      "links: git-2.39.5",
      "links: nss-cacert-3.98",
    ]);
  });

  test("puts the view of the first package of the recipe on top", async () => {
    for (const name of ["git/htop", "htop/git", "openssl/git"]) {
      const { holds } = await read(name);
      const views = holds.filter((text) => text.startsWith("links: ")).reverse();
      const inOrder = ingredientsOf(name, "gzip").flatMap(({ records }) =>
        records
          .filter(({ view }) => view !== null)
          .map(({ storePath }) => storePathName(storePath)),
      );
      assert.deepEqual(
        views,
        inOrder.map((text) => `links: ${text}`),
      );
    }
  });

  describe("with views in bundles", () => {
    const viewed = (name: string) =>
      recordOf(name, {
        bundles: [bundleOf(["glibc-2.36"], 900), bundleOf([name], 1, "gzip", true)],
        view: null,
      });
    const nano = recordOf("nano-7", {
      bundles: [bundleOf(["glibc-2.36"], 900), bundleOf(["less-5"], 3)],
    });
    const layersOf = async (records: readonly PackageRecord[]) => {
      const [name = assert.fail()] = recipeOf("nano").packages;
      const ingredients = records.map((record) => ({
        name,
        found: foundOf("nano-7"),
        records: [record],
      }));
      const result = await compose(recipeOf("nano"), ingredients, layerOf("base"), "oci-gzip");
      assert(result.kind === "image");
      const config = JSON.parse(new TextDecoder().decode(result.image.config.bytes));
      return config.history.map(({ created_by: by }: { created_by: string }) =>
        by.replace("nixport ", ""),
      );
    };

    test("lays them among the views, the first package's on top", async () => {
      assert.deepEqual(await layersOf([viewed("git-2"), nano, viewed("less-5")]), [
        "base: /tmp, /etc/passwd",
        "glibc-2.36",
        "less-5; links: less-5",
        "links: nano-7",
        "git-2; links: git-2",
      ]);
    });

    test("needs no other bundle of the same paths", async () => {
      const alone = await layersOf([nano]);
      assert(alone.includes("less-5"));
      assert(!(await layersOf([nano, viewed("less-5")])).includes("less-5"));
    });

    test("takes a coarser bundle that holds one in the same place", async () => {
      const parts = Array.from({ length: 120 }, (_, index) => bundleOf([`part-${index}`], 1));
      const members = Array.from({ length: 122 }, (_, index) => index);
      const coarse = { members, popularity: 900, holdsView: true, layer: layerOf("all") };
      const git = viewed("git-2");
      const large = { ...git, bundles: [...git.bundles, ...parts], coarser: [[coarse]] };
      assert.deepEqual(await layersOf([large, nano]), [
        "base: /tmp, /etc/passwd",
        "glibc-2.36",
        "less-5",
        "links: nano-7",
        "glibc-2.36 git-2 part-0 part-1 and 118 more; links: git-2",
      ]);
    });
  });

  test("holds a bundle that several packages share once", async () => {
    const { manifest } = await read("shell/git/perl/htop");
    const digests = manifest.layers.map((layer) => layer.digest);
    assert.equal(new Set(digests).size, digests.length);
    for (const shared of [bundleOf(["glibc-2.36"], 900), bundleOf(["perl-5.36"], 40)]) {
      assert(digests.includes(shared.digest));
    }
  });

  test("holds an output that two names lead to once", async () => {
    const once = await read("git");
    const twice = await read("git/gitminimal");
    assert.deepEqual(twice.manifest.layers, once.manifest.layers);
  });

  test("takes no notice of the order in which bundles come", async () => {
    const forwards = ingredientsOf("git/htop/perl", "gzip");
    const backwards = forwards.map((each) => ({
      ...each,
      records: each.records.map((record) => ({ ...record, bundles: record.bundles.toReversed() })),
    }));
    assert.equal(
      await digestOfImage("git/htop/perl", "oci-gzip", backwards),
      await digestOfImage("git/htop/perl", "oci-gzip", forwards),
    );
  });

  test("believes the higher popularity while the data is replaced, whichever comes first", async () => {
    const before = ingredientsOf("git/htop", "gzip");
    const after = (wanted: string) =>
      before.map((each) => ({
        ...each,
        records: each.records.map((record) => ({
          ...record,
          bundles: record.bundles.map((bundle) =>
            bundle.popularity === 900 && each.name === wanted
              ? { ...bundle, popularity: 1 }
              : bundle,
          ),
        })),
      }));
    const digest = await digestOfImage("git/htop", "oci-gzip", before);
    for (const name of ["git", "htop"]) {
      assert.equal(await digestOfImage("git/htop", "oci-gzip", after(name)), digest);
    }
  });

  const links: readonly [name: string, links: readonly string[]][] = [
    ["git", ["/bin/sh -> /nix/store/dash/bin/sh", "/usr/bin/env -> /nix/store/coreutils/bin/env"]],
    [
      "git/perl",
      ["/bin/sh -> /nix/store/dash/bin/sh", "/usr/bin/env -> /nix/store/coreutils/bin/env"],
    ],
    ["perl", ["/bin/sh -> /other/sh"]],
    ["dash/git", ["/usr/bin/env -> /nix/store/coreutils/bin/env"]],
    ["coreutils/git", ["/bin/sh -> /nix/store/dash/bin/sh"]],
    ["shell/git", []],
    ["htop", []],
  ];
  for (const [name, expected] of links) {
    test(`${name} takes ${expected.length} links that only a closure offers`, async () => {
      const { holds } = await read(name);
      assert.deepEqual(
        holds.filter((text) => text.includes(" -> ")),
        expected,
      );
    });
  }

  test("names a layer, a diff id and a line of history for each piece, in one order", async () => {
    for (const variant of VARIANTS) {
      const { config, manifest } = await read("shell/git/htop", variant);
      assert.equal(config.rootfs.diff_ids.length, manifest.layers.length);
      assert.equal(config.history.length, manifest.layers.length);
    }
  });

  test("shares its config between gzip and zstd, so that a client unpacks once", async () => {
    const [zstd, gzip, docker] = await Promise.all(
      VARIANTS.map((variant) => read("shell/git/htop", variant)),
    );
    assert(zstd && gzip && docker);
    assert.equal(zstd.image.config.digest, gzip.image.config.digest);
    assert.equal(docker.image.config.digest, gzip.image.config.digest);
    assert.notEqual(zstd.image.manifest.digest, gzip.image.manifest.digest);
    assert.notEqual(docker.image.manifest.digest, gzip.image.manifest.digest);
    const digests = ({ manifest }: typeof zstd) => manifest.layers.map((layer) => layer.digest);
    assert.deepEqual(digests(docker), digests(gzip));
  });

  test("takes 125 layers, which Docker mounts, and refuses 126", async () => {
    const recipe = recipeOf("big");
    const big = (bundles: number): readonly Ingredient[] =>
      ingredientsOf("cacert", "gzip").concat({
        name: recipe.packages[0] ?? assert.fail(),
        found: foundOf("big-1"),
        records: [
          recordOf("big-1", {
            bundles: Array.from({ length: bundles }, (_, index) => bundleOf([`part-${index}`], 1)),
          }),
        ],
      });
    const others = 1 + 2 + 2 + 1;
    const most = await compose(recipe, big(MAX_LAYERS - others), layerOf("base"), "oci-gzip");
    assert.equal(MAX_LAYERS, 125);
    assert(most.kind === "image");
    const tooMany = await compose(recipe, big(126 - others), layerOf("base"), "oci-gzip");
    assert.deepEqual(tooMany, { kind: "too-many-layers", count: 126 });
  });

  test("stays far below the 4 MB that clients take, for the longest recipe", async () => {
    const names = Array.from({ length: 62 }, (_, index) => `p${index.toString(36)}`);
    const recipe = recipeOf(names.join("/"));
    const ingredients = recipe.packages.map((name) => ({
      name,
      found: foundOf(name),
      records: [recordOf(name, { bundles: [bundleOf(["glibc-2.36"], 9)], view: layerOf(name) })],
    }));
    const result = await compose(recipe, ingredients, layerOf("base"), "oci-zstd");
    assert(result.kind === "image");
    assert(result.image.manifest.bytes.length < 100_000);
  });
});
