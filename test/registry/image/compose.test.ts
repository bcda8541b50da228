// Compose: that its bytes stay what they were, and what they say.

import { readFileSync, writeFileSync } from "node:fs";
import { assert, describe, expect, test } from "vitest";
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
  "fhs/nonroot/unix/git",
];
const GOLDEN = new URL("golden-digests.json", import.meta.url);
const REGENERATE = "UPDATE_GOLDEN=1 npm test -- registry/image/compose";

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
      expect(digest, advice).toBe(golden[image]);
    });
  }
  test("there is none of an image that is not composed", () => {
    expect(Object.keys(golden), REGENERATE).toStrictEqual(Object.keys(digests));
  });
});

describe("compose", () => {
  test("gives one recipe one image, in whatever order the name has it", async () => {
    const digest = await digestOfImage("shell/git/htop");
    for (const name of ["shell/htop/git", "shell/git/htop/git", "shell/nano/htop/git/cacert"]) {
      expect(await digestOfImage(name), name).toBe(digest);
    }
    expect(await digestOfImage("arm64/shell/git/htop")).not.toBe(digest);
  });

  test("gives the bytes that the digests name, and the same again", async () => {
    for (const variant of VARIANTS) {
      const { image, manifest } = await read("shell/git", variant);
      for (const { bytes, digest } of [image.config, image.manifest]) {
        expect(await digestOf(bytes)).toBe(digest);
      }
      expect(manifest.config.digest).toBe(image.config.digest);
      expect(manifest.config.size).toBe(image.config.bytes.length);
      expect(await composed("shell/git", variant)).toStrictEqual(image);
    }
  });

  test("lays the ground first, then bundles by popularity, links of closures, views last", async () => {
    const { holds } = await read("git/htop");
    expect(holds).toStrictEqual([
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
      expect(views.reverse(), name).toStrictEqual(expected);
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
      expect(await layersOf(viewed("git-2"), nano, viewed("less-5"))).toStrictEqual([
        "glibc-2.36",
        "less-5; links: less-5",
        "links: nano-7",
        "git-2; links: git-2",
      ]);
    });

    test("needs no other bundle of the same paths", async () => {
      expect(await layersOf(nano)).toContain("less-5");
      expect(await layersOf(nano, viewed("less-5"))).not.toContain("less-5");
    });

    test("needs no bundle of which bundles with views have every path", async () => {
      const shell = recordOf("shell-1", {
        bundles: [bundleOf(["shell-1", "less-5", "tinfo-6"], 1, "gzip", true)],
      });
      const both = recordOf("both-1", { bundles: [bundleOf(["less-5", "more-1"], 3)] });
      expect(await layersOf(nano, both, shell)).toStrictEqual([
        "glibc-2.36",
        "less-5 more-1",
        "shell-1 less-5 tinfo-6; links: shell-1",
        "links: both-1",
        "links: nano-7",
      ]);
    });

    test("needs no bundle of what the ground has", async () => {
      const ground = groundOf(["less-5", "cacert-1"]);
      expect(await layersOf(nano, ground)).toStrictEqual([
        "base: /tmp, /etc/passwd; less-5 cacert-1; links: less-5 cacert-1",
        "glibc-2.36",
        "links: nano-7",
      ]);
    });

    test("lays a ground without packages", async () => {
      expect(await layersOf(groundOf())).toStrictEqual(["base: /tmp, /etc/passwd"]);
    });

    test("takes a coarser bundle that holds one in the same place", async () => {
      const parts = Array.from({ length: 120 }, (_, index) => bundleOf([`part-${index}`], 1));
      const members = Array.from({ length: 122 }, (_, index) => index);
      const coarse = { members, popularity: 900, holdsView: true, layer: layerOf("all") };
      const git = viewed("git-2");
      const large = { ...git, bundles: [...git.bundles, ...parts], coarser: [[coarse]] };
      expect(await layersOf(large, nano)).toStrictEqual([
        "less-5",
        "links: nano-7",
        "glibc-2.36 git-2 part-0 part-1 and 118 more; links: git-2",
      ]);
    });
  });

  test("holds a bundle that several packages share once", async () => {
    const { manifest } = await read("shell/git/perl/htop");
    const digests = manifest.layers.map((layer) => layer.digest);
    expect(new Set(digests).size).toBe(digests.length);
    for (const shared of [bundleOf(["glibc-2.36"], 900), bundleOf(["perl-5.36"], 40)]) {
      expect(digests).toContain(shared.digest);
    }
  });

  test("holds an output that two names lead to once", async () => {
    const once = await read("git");
    const twice = await read("git/gitminimal");
    expect(twice.manifest.layers).toStrictEqual(once.manifest.layers);
  });

  test("takes no notice of the order in which bundles come", async () => {
    const ingredients = ingredientsOf("git/htop/perl");
    const forwards = recordsOf(ingredients, "gzip");
    const backwards = forwards.map((record) => ({
      ...record,
      bundles: record.bundles.toReversed(),
    }));
    expect(await digestOfImage("git/htop/perl", "oci-gzip", ingredients, backwards)).toBe(
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
    expect(await laid(all)).toStrictEqual(expected);
    expect(await laid(all.toReversed())).toStrictEqual(expected);
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
      expect(replaced).toBe(digest);
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
      expect(holds.filter((text) => text.includes(" -> "))).toStrictEqual(expected);
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
    expect(digests.indexOf(perl.layer.digest)).toBeGreaterThan(digests.indexOf(git.layer.digest));
    expect(digests.indexOf(git.layer.digest)).toBeGreaterThan(0);
  });

  test("lays the links of fhs above all views, and once, whatever is named besides", async () => {
    for (const name of ["fhs/git", "fhs/unix/shell/git", "fhs/coreutils/zlib"]) {
      const { holds } = await read(name);
      expect(holds.at(-1), name).toBe(
        "/lib64/ld-linux-x86-64.so.2 -> /nix/store/nix-ld, /usr/bin -> ../bin",
      );
      expect(holds.filter((text) => text.includes("/usr/bin -> "))).toHaveLength(1);
    }
    const plain = await read("shell/git");
    expect(plain.holds.filter((text) => text.includes("/usr/bin -> "))).toStrictEqual([]);
  });

  test("names a layer, a diff id and a line of history for each piece, in one order", async () => {
    for (const variant of VARIANTS) {
      const { config, manifest } = await read("shell/git/htop", variant);
      expect(config.rootfs.diff_ids).toHaveLength(manifest.layers.length);
      expect(config.history).toHaveLength(manifest.layers.length);
    }
  });

  test("shares its config between gzip and zstd, so that a client unpacks once", async () => {
    const [zstd, gzip, docker] = await Promise.all(
      VARIANTS.map((variant) => read("shell/git/htop", variant)),
    );
    assert(zstd && gzip && docker);
    expect(zstd.image.config.digest).toBe(gzip.image.config.digest);
    expect(docker.image.config.digest).toBe(gzip.image.config.digest);
    expect(zstd.image.manifest.digest).not.toBe(gzip.image.manifest.digest);
    expect(docker.image.manifest.digest).not.toBe(gzip.image.manifest.digest);
    const digests = ({ manifest }: typeof zstd) => manifest.layers.map((layer) => layer.digest);
    expect(digests(docker)).toStrictEqual(digests(gzip));
  });

  test("takes 125 layers, which Docker mounts, and refuses 126", async () => {
    const big = (layers: number) => {
      // One more holds the view, and one is the ground.
      const names = Array.from({ length: layers - 2 }, (_, index) => `part-${index}`);
      const bundles = names.map((name) => bundleOf([name], 1));
      return compose(recipeOf("big"), [], [recordOf("big-1", { bundles }), groundOf()], "oci-gzip");
    };
    expect(MAX_LAYERS).toBe(125);
    expect((await big(125)).kind).toBe("image");
    expect(await big(126)).toStrictEqual({ kind: "too-many-layers", count: 126 });
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
    expect(result.image.manifest.bytes.length).toBeLessThan(100_000);
  });
});

const SH_OF_PERL = { links: [{ path: "/bin/sh", target: "/other/sh" }] } as const;
const ENV_OF_GIT = { path: "/usr/bin/env", target: "/nix/store/coreutils/bin/env" } as const;
