// Compose: that its bytes stay what they were, and what they say.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { compose, MAX_LAYERS } from "../../../registry/image/compose.ts";
import { partsOf } from "../../../registry/image/part.ts";
import type { BundleRecord, PackageRecord } from "../../../registry/image/record.ts";
import { VARIANTS } from "../../../registry/image/variant.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { parseStorePath } from "../../../registry/naming/store-path.ts";
import { bundleOf, defined, foundOf, groundOf, layerOf, recipeOf, recordOf } from "../fixture.ts";
import { composed, ingredientsOf, read, recordsOf } from "../pantry.ts";

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
const REGENERATE = "UPDATE_GOLDEN=1 node --test test/registry/image/compose.test.ts";

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

  test("lays the ground first, then bundles by popularity, links of closures, views last", async () => {
    const { holds } = await read("git/htop");
    assert.deepEqual(holds, [
      "base: /tmp, /etc/passwd; nss-cacert-3.98 iana-etc-20230215; links: nss-cacert-3.98 iana-etc-20230215",
      "glibc-2.36",
      "perl-5.36",
      "git-2.39.5 a-1 b-1 c-1 and 2 more",
      "htop-3.2.2",
      "/bin/sh -> /nix/store/dash/bin/sh, /usr/bin/env -> /nix/store/coreutils/bin/env",
      "links: htop-3.2.2",
      "links: git-2.39.5",
    ]);
  });

  test("puts the view of the first package of the recipe on top, and that of the shell last", async () => {
    const rows: readonly [name: string, views: readonly string[]][] = [
      ["git/htop", ["git-2.39.5", "htop-3.2.2"]],
      ["htop/git", ["git-2.39.5", "htop-3.2.2"]],
      ["openssl/git", ["git-2.39.5", "openssl-3.0 openssl-3.0-bin"]],
      [
        "shell/openssl/git",
        [
          "git-2.39.5",
          "openssl-3.0 openssl-3.0-bin",
          "bash-interactive-5.2 coreutils-9.1 moreutils-0.67 nano-7.2",
        ],
      ],
    ];
    for (const [name, expected] of rows) {
      const { holds } = await read(name);
      const views = holds.slice(1).flatMap((text) => /links: (.*)$/.exec(text)?.[1] ?? []);
      assert.deepEqual(views.reverse(), expected, name);
    }
  });

  describe("with views in bundles", () => {
    const viewed = (name: string) =>
      recordOf(name, {
        bundles: [bundleOf(["glibc-2.36"], 900), bundleOf([name], 1, "gzip", true)],
      });
    const nano = recordOf("nano-7", {
      bundles: [bundleOf(["glibc-2.36"], 900), bundleOf(["less-5"], 3)],
    });
    const layersOf = async (...records: readonly PackageRecord[]) => {
      const result = await compose(recipeOf("nano"), [], records, "oci-gzip");
      assert(result.kind === "image");
      const config = JSON.parse(new TextDecoder().decode(result.image.config.bytes));
      return config.history.map(({ created_by: by }: { created_by: string }) =>
        by.replace("nixport ", ""),
      );
    };

    test("lays them among the views, the first part's on top", async () => {
      assert.deepEqual(await layersOf(viewed("git-2"), nano, viewed("less-5")), [
        "glibc-2.36",
        "less-5; links: less-5",
        "links: nano-7",
        "git-2; links: git-2",
      ]);
    });

    test("needs no other bundle of the same paths", async () => {
      assert((await layersOf(nano)).includes("less-5"));
      assert(!(await layersOf(nano, viewed("less-5"))).includes("less-5"));
    });

    test("needs no bundle of which bundles with views have every path", async () => {
      const shell = recordOf("shell-1", {
        bundles: [bundleOf(["shell-1", "less-5", "tinfo-6"], 1, "gzip", true)],
      });
      const both = recordOf("both-1", { bundles: [bundleOf(["less-5", "more-1"], 3)] });
      assert.deepEqual(await layersOf(nano, both, shell), [
        "glibc-2.36",
        "less-5 more-1",
        "shell-1 less-5 tinfo-6; links: shell-1",
        "links: both-1",
        "links: nano-7",
      ]);
    });

    test("needs no bundle of what the ground has", async () => {
      const ground = groundOf(["less-5", "cacert-1"]);
      assert.deepEqual(await layersOf(nano, ground), [
        "base: /tmp, /etc/passwd; less-5 cacert-1; links: less-5 cacert-1",
        "glibc-2.36",
        "links: nano-7",
      ]);
    });

    test("lays a ground without packages", async () => {
      assert.deepEqual(await layersOf(groundOf()), ["base: /tmp, /etc/passwd"]);
    });

    test("takes a coarser bundle that holds one in the same place", async () => {
      const parts = Array.from({ length: 120 }, (_, index) => bundleOf([`part-${index}`], 1));
      const members = Array.from({ length: 122 }, (_, index) => index);
      const coarse = { members, popularity: 900, holdsView: true, layer: layerOf("all") };
      const git = viewed("git-2");
      const large = { ...git, bundles: [...git.bundles, ...parts], coarser: [[coarse]] };
      assert.deepEqual(await layersOf(large, nano), [
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
    const ingredients = ingredientsOf("git/htop/perl");
    const forwards = recordsOf(ingredients, "gzip");
    const backwards = forwards.map((record) => ({
      ...record,
      bundles: record.bundles.toReversed(),
    }));
    assert.equal(
      await digestOfImage("git/htop/perl", "oci-gzip", ingredients, backwards),
      await digestOfImage("git/htop/perl", "oci-gzip", ingredients, forwards),
    );
  });

  test("lays bundles that are equally popular by their names, and those of one name by digest", async () => {
    const named = ["zlib-1", "attr-2", "pcre-3"].map((name) => bundleOf([name], 7));
    // Two builds of one version.
    const builds = ["0", "1"].map((hash) => ({
      ...bundleOf(["gmp-6"], 7),
      ...layerOf(`gmp of ${hash}`),
      storePaths: [defined(parseStorePath(`/nix/store/${hash.repeat(32)}-gmp-6`), hash)],
    }));
    const laid = async (bundles: readonly BundleRecord[]) => {
      const records = [recordOf("nano-7", { bundles })];
      const result = await compose(recipeOf("nano"), [], records, "oci-gzip");
      assert(result.kind === "image");
      const { layers } = JSON.parse(new TextDecoder().decode(result.image.manifest.bytes));
      return layers.map(({ digest }: { digest: string }) => digest).slice(0, -1);
    };
    const [zlib, attr, pcre] = named.map(({ digest }) => digest);
    const expected = [attr, ...builds.map(({ digest }) => digest).sort(), pcre, zlib];
    const all = [...named, ...builds];
    assert.deepEqual(await laid(all), expected);
    assert.deepEqual(await laid(all.toReversed()), expected);
  });

  test("believes the higher popularity while the data is replaced, whichever comes first", async () => {
    const ingredients = ingredientsOf("git/htop");
    const before = recordsOf(ingredients, "gzip");
    const after = (replaced: number) =>
      before.map((record, place) => ({
        ...record,
        bundles: record.bundles.map((bundle) =>
          bundle.popularity === 900 && place === replaced ? { ...bundle, popularity: 1 } : bundle,
        ),
      }));
    const digest = await digestOfImage("git/htop", "oci-gzip", ingredients, before);
    for (const place of [0, 1]) {
      const replaced = await digestOfImage("git/htop", "oci-gzip", ingredients, after(place));
      assert.equal(replaced, digest);
    }
  });

  const both = "/bin/sh -> /nix/store/dash/bin/sh, /usr/bin/env -> /nix/store/coreutils/bin/env";
  const links: readonly [name: string, links: readonly string[]][] = [
    ["git", [both]],
    ["git/perl", [both]],
    ["perl", ["/bin/sh -> /other/sh"]],
    ["dash/git", [both]],
    ["coreutils/git", [both]],
    ["coreutils/perl", ["/bin/sh -> /other/sh"]],
    ["coreutils/dash/git", []],
    ["shell/git", []],
    ["htop", []],
  ];
  for (const [name, expected] of links) {
    test(`${name} takes ${expected.length} layers of links that only a closure offers`, async () => {
      const { holds } = await read(name);
      assert.deepEqual(
        holds.filter((text) => text.includes(" -> ")),
        expected,
      );
    });
  }

  test("lays the links of the first part that offers one on top", async () => {
    const perl = { ...SH_OF_PERL, layer: layerOf("links of perl") };
    const git = { links: [...SH_OF_PERL.links, ENV_OF_GIT], layer: layerOf("links of git") };
    const records = [recordOf("perl-5", { fallback: perl }), recordOf("git-2", { fallback: git })];
    const result = await compose(recipeOf("nano"), [], records, "oci-gzip");
    assert(result.kind === "image");
    const { layers } = JSON.parse(new TextDecoder().decode(result.image.manifest.bytes));
    const digests: readonly string[] = layers.map(({ digest }: { digest: string }) => digest);
    assert(digests.indexOf(perl.layer.digest) > digests.indexOf(git.layer.digest));
    assert(digests.indexOf(git.layer.digest) > 0);
  });

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
    const big = (layers: number) => {
      // One more holds the view, and one is the ground.
      const names = Array.from({ length: layers - 2 }, (_, index) => `part-${index}`);
      const bundles = names.map((name) => bundleOf([name], 1));
      return compose(recipeOf("big"), [], [recordOf("big-1", { bundles }), groundOf()], "oci-gzip");
    };
    assert.equal(MAX_LAYERS, 125);
    assert.equal((await big(125)).kind, "image");
    assert.deepEqual(await big(126), { kind: "too-many-layers", count: 126 });
  });

  test("stays far below the 4 MB that clients take, for the longest recipe", async () => {
    const names = Array.from({ length: 62 }, (_, index) => `p${index.toString(36)}`);
    const recipe = recipeOf(names.join("/"));
    const ingredients = recipe.packages.map((name) => ({ name, found: foundOf(name) }));
    const bundles = [bundleOf(["glibc-2.36"], 9)];
    const records = partsOf(ingredients).map((part, place) =>
      recordOf(`p-${place}`, { ...part, bundles }),
    );
    const result = await compose(recipe, ingredients, records, "oci-zstd");
    assert(result.kind === "image");
    assert(result.image.manifest.bytes.length < 100_000);
  });
});

const SH_OF_PERL = { links: [{ path: "/bin/sh", target: "/other/sh" }] } as const;
const ENV_OF_GIT = { path: "/usr/bin/env", target: "/nix/store/coreutils/bin/env" } as const;
