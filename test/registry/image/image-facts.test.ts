// What is told of an image: layers, what they hold and who needs it, closures, packages, forms.

import * as v from "valibot";
import { assert, describe, expect, test } from "vitest";
import { canonicalImageOf } from "../../../registry/image/canonical.ts";
import { imageFactsSchema } from "../../../registry/image/image-facts.ts";
import { recordPaths } from "../../../registry/image/record.ts";
import { namesOf } from "../../../registry/naming/recipe.ts";
import { storePathName } from "../../../registry/naming/store-path.ts";
import { recipeOf } from "../fixture.ts";
import { factsOf, ingredientOf, type ManifestJson, read, recordsOf } from "../pantry.ts";

const IMAGES = ["git", "htop", "shell/git/htop", "fhs/git", "openssl", "unix/perl", "nonroot/dash"];

describe("imageFacts", () => {
  test.for(IMAGES)("tells of %s the layers that its manifest has", async (repository) => {
    const { layers, variants } = await factsOf(repository);
    const { manifest, image, config } = await read(repository);
    expect(layers.map(({ digest, sizeBytes }) => ({ digest, size: sizeBytes }))).toStrictEqual(
      manifest.layers.map(({ digest, size }) => ({ digest, size })),
    );
    expect(layers.map(({ diffId }) => diffId)).toStrictEqual(config.rootfs.diff_ids);
    const sizeBytes = manifest.layers.reduce((sum, { size }) => sum + size, manifest.config.size);
    const { digest } = image.manifest;
    expect(variants[0]).toMatchObject({ digest, config: image.config.digest, sizeBytes });
  });

  test.for(IMAGES)("finds every path of each closure of %s in one layer", async (repository) => {
    const { layers, parts } = await factsOf(repository);
    const recipe = recipeOf(repository);
    const { ingredients } = canonicalImageOf(recipe, namesOf(recipe).map(ingredientOf));
    const closures = parts.map(({ closure }) =>
      closure.flatMap(({ layer, storePaths }) =>
        storePaths.map((place) => layers[layer]?.storePaths[place]),
      ),
    );
    expect(closures.map((paths) => paths.toSorted())).toStrictEqual(
      recordsOf(ingredients, "gzip").map((record) => recordPaths(record).toSorted()),
    );
  });

  test("names who needs a layer, and whose links lie in it", async () => {
    const { layers, parts } = await factsOf("git/htop");
    const about = layers.map(({ storePaths, neededBy, view, links }) => ({
      paths: storePaths.map(storePathName).slice(0, 2),
      neededBy: neededBy.map((place) => parts[place]?.packages.join()),
      view: view === null ? null : parts[view]?.packages.join(),
      links: links.map(({ path }) => path),
    }));
    const none = { view: null, links: [] };
    expect(about).toContainEqual({ paths: ["glibc-2.36"], neededBy: ["git", "htop"], ...none });
    expect(about).toContainEqual({ paths: ["perl-5.36"], neededBy: ["git"], ...none });
    expect(about).toContainEqual({ paths: [], neededBy: ["htop"], view: "htop", links: [] });
    const links = ["/bin/sh", "/usr/bin/env"];
    expect(about).toContainEqual({ paths: [], neededBy: ["git"], view: "git", links });
  });

  test("tells each package once, and which front word needs it", async () => {
    const { packages, recipe } = await factsOf("fhs/shell/git");
    expect(recipe).toContain("fhs/bashInteractive/");
    const words = Object.fromEntries(
      packages.map(({ attribute, neededBy }) => [attribute, neededBy]),
    );
    expect(words).toMatchObject({ git: null, nano: null, zlib: "fhs", "nix-ld": "fhs" });
    expect(packages.map(({ attribute }) => attribute)).toHaveLength(Object.keys(words).length);
    expect(packages.find(({ attribute }) => attribute === "git")).toMatchObject({
      name: "git-2.39.5",
      version: "2.39.5",
      image: null,
    });
  });

  test("tells every form by its digest and its own size", async () => {
    const { variants, layers } = await factsOf("git", ["oci-zstd", "oci-gzip", "docker-gzip"]);
    const sizes = await Promise.all(
      variants.map(async ({ variant }) => {
        const { manifest, image }: { manifest: ManifestJson; image: { manifest: object } } =
          await read("git", variant);
        const sizeBytes = manifest.layers.reduce(
          (sum, { size }) => sum + size,
          manifest.config.size,
        );
        return { variant, ...image.manifest, sizeBytes };
      }),
    );
    expect(sizes).toMatchObject(
      variants.map(({ variant, digest, sizeBytes }) => ({ variant, digest, sizeBytes })),
    );
    expect(layers[0]?.digest).toBe((await factsOf("git", ["oci-zstd"])).layers[0]?.digest);
  });

  test.for(IMAGES)("is what its schema takes, through JSON, of %s", async (repository) => {
    const facts = await factsOf(repository);
    const parsed = v.safeParse(imageFactsSchema, JSON.parse(JSON.stringify(facts)));
    assert(parsed.success);
    expect(parsed.output).toStrictEqual(facts);
  });
});
