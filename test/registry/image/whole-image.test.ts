// Composing whole images that a package set defines: contents like packages, and a config.

import { assert, describe, expect, test } from "vitest";
import { compose } from "../../../registry/image/compose.ts";
import type { ImageConfig } from "../../../registry/image/image-config.ts";
import type { FoundImage, FoundPackage } from "../../../registry/image/lookup.ts";
import type { Ingredient } from "../../../registry/image/part.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import { layerOf, recipeOf } from "../fixture.ts";
import { ingredientOf, ingredientsOf, read, recordsOf } from "../pantry.ts";

const FORM = "gzip";

/** `name` as an image of what the pantry has under other names. */
function imageOf(
  name: string,
  contents: readonly string[],
  config: ImageConfig = {},
): Ingredient & { readonly found: FoundImage } {
  const held = contents.map((content) => ingredientOf(content as PackageName));
  return {
    name: name as PackageName,
    found: {
      kind: "image",
      attribute: `nixportImages.${name}`,
      contents: held.map(({ found }) => found as FoundPackage),
      config,
    },
  };
}

function withImage(repository: string, image: Ingredient): readonly Ingredient[] {
  return recipeOf(repository).packages.map((name) =>
    name === image.name ? image : ingredientOf(name),
  );
}

describe("a whole image", () => {
  test("has the layers of its contents, and the main program of the first as command", async () => {
    const image = await read("web", "oci-gzip", withImage("web", imageOf("web", ["git", "htop"])));
    const packages = await read("git/htop");
    expect([...image.holds].sort()).toStrictEqual([...packages.holds].sort());
    expect(image.config.config.Cmd).toStrictEqual(["/bin/git"]);
    expect(image.config.config.Labels["nixport.packages"]).toBe(
      "nss-cacert-3.98 iana-etc-20230215 git-2.39.5 htop-3.2.2",
    );
  });

  test("says what is run, in its own words", async () => {
    const config = { Entrypoint: ["/bin/htop"], User: "1000", Labels: { a: "b" } };
    const image = imageOf("web", ["htop"], config);
    const { config: written } = await read("web", "oci-gzip", withImage("web", image));
    expect({ ...written.config, Labels: written.config.Labels.a }).toStrictEqual({
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt",
      ],
      WorkingDir: "/",
      ...config,
      Labels: "b",
    });
  });

  test("may be named beside packages: its config holds, and their files are there", async () => {
    const image = imageOf("web", ["htop"], { Cmd: ["/bin/htop", "-d", "1"] });
    const { config, holds } = await read("shell/web", "oci-gzip", withImage("shell/web", image));
    expect(config.config.Cmd).toStrictEqual(["/bin/htop", "-d", "1"]);
    expect(holds.some((text) => text.includes("links: bash-interactive-5.2 coreutils"))).toBe(true);
    expect(holds).toContain("links: htop-3.2.2");
  });

  test("is not composed together with another, which has a config too", async () => {
    const ingredients = [
      ...ingredientsOf("git"),
      ...["a", "b"].map((name) => imageOf(name, ["git"])),
    ];
    const records = recordsOf(ingredients, FORM);
    const composed = await compose(recipeOf("a/b/git"), ingredients, records, "oci-gzip");
    expect(composed).toStrictEqual({
      kind: "several-images",
      attributes: ["nixportImages.a", "nixportImages.b"],
    });
  });
});

describe("an image with options", () => {
  const options = (most: number) => {
    const ingredients = ingredientsOf("git/htop");
    const records = recordsOf(ingredients, FORM);
    return compose(recipeOf("git/htop"), ingredients, records, "oci-gzip", { maxLayers: most });
  };

  test("has no more layers than it may, or says how many it has at least", async () => {
    const composed = await options(3);
    expect(composed.kind).toBe("too-many-layers");
    expect((await options(100)).kind).toBe("image");
  });

  test("has the layers given on top, and the config given over all", async () => {
    const top = { ...layerOf("extra"), holds: "extra commands" };
    const image = imageOf("web", ["git"], { Cmd: ["/bin/git"], User: "1" });
    const ingredients = withImage("web", image);
    const records = recordsOf(ingredients, FORM);
    const composed = await compose(recipeOf("web"), ingredients, records, "oci-gzip", {
      ...{ top: [top], config: { Cmd: ["/bin/other"] } },
    });
    assert(composed.kind === "image");
    const config = JSON.parse(new TextDecoder().decode(composed.image.config.bytes));
    expect([config.config.Cmd, config.config.User]).toStrictEqual([["/bin/other"], "1"]);
    expect(config.history.at(-1).created_by).toBe("nixport extra commands");
    expect(config.rootfs.diff_ids.at(-1)).toBe(top.diffId);
  });
});
