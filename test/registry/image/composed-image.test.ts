// What the config and the manifest of a composed image say.

import { assert, describe, expect, test } from "vitest";
import type { Ingredient } from "../../../registry/image/part.ts";
import { VARIANTS } from "../../../registry/image/variant.ts";
import { canonicalRecipe } from "../../../registry/naming/recipe.ts";
import { foundOf, recipeOf } from "../fixture.ts";
import { ingredientsOf, read, recordsOf } from "../pantry.ts";

describe("a composed image", () => {
  const commands: readonly [name: string, command: readonly string[] | undefined][] = [
    ["shell/git", ["/bin/bash"]],
    ["dash/git", ["/bin/sh"]],
    ["git/htop", ["/bin/git"]],
    ["htop", ["/bin/htop"]],
    ["openssl", ["/bin/openssl"]],
    ["nano", undefined],
    ["cacert", undefined],
    ["fhs", undefined],
    ["nonroot/fhs/htop", ["/bin/htop"]],
  ];
  for (const [name, command] of commands) {
    test(`${name} starts ${command ?? "nothing"}`, async () => {
      expect((await read(name)).config.config.Cmd).toStrictEqual(command);
    });
  }

  const BEFORE = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt",
  ];
  test.for([
    { of: [], env: [] },
    { of: ["hasUtf8"], env: ["LANG=C.UTF-8"] },
    { of: ["hasZones"], env: [] },
    { of: ["looksElsewhereForZones"], env: [] },
    { of: ["hasZones", "looksElsewhereForZones"], env: ["TZDIR=/usr/share/zoneinfo"] },
  ])("has the variables $env where some record says $of", async ({ of, env }) => {
    const ingredients = ingredientsOf("git/htop");
    // Each fact in a record of its own.
    const records = recordsOf(ingredients, "gzip").map((record, place) => ({
      ...record,
      locale: { ...record.locale, ...(of[place] !== undefined && { [of[place]]: true }) },
    }));
    const { config } = await read("git/htop", "oci-gzip", ingredients, records);
    expect(config.config.Env).toStrictEqual([...BEFORE, ...env]);
  });

  test.for([
    { name: "git", env: [], user: undefined, folder: "/" },
    {
      ...{ name: "fhs/git", user: undefined, folder: "/" },
      env: ["NIX_LD=/lib/ld.so", "NIX_LD_LIBRARY_PATH=/lib"],
    },
    { name: "nonroot/git", env: [], user: "65532:65532", folder: "/home/nonroot" },
  ])("of $name runs as $user in $folder with $env", async ({ name, env, user, folder }) => {
    const { Env, User, WorkingDir } = (await read(name)).config.config;
    expect(Env).toStrictEqual([...BEFORE, ...env]);
    expect([User, WorkingDir]).toStrictEqual([user, folder]);
  });

  test("leaves user and folder to a whole image that says its own", async () => {
    const [cacert, git, iana] = ingredientsOf("git");
    assert(cacert && git && iana && git.found.kind === "found");
    const config = { User: "999", Labels: { mine: "yes" } };
    const found = { kind: "image", attribute: "nixportImages.x", contents: [git.found], config };
    const ingredients = [cacert, { ...git, found }, iana] as readonly Ingredient[];
    const { User, WorkingDir } = (await read("nonroot/git", "oci-gzip", ingredients)).config.config;
    expect([User, WorkingDir]).toStrictEqual(["999", "/home/nonroot"]);
  });

  test("names what a word needs among its packages, and not in its description", async () => {
    const { Labels } = (await read("fhs/coreutils")).config.config;
    expect(Labels["org.opencontainers.image.description"]).toBe("Nix packages: coreutils-9.1");
    expect(Labels["nixport.recipe"]).toBe("fhs/cacert/coreutils/iana-etc");
    expect(Labels["nixport.packages"]).toBe(
      "nss-cacert-3.98 coreutils-9.1 iana-etc-20230215 nix-ld-2.0 glibc-2.36 gcc-12-lib zlib-1.3 openssl-3.0",
    );
  });

  test.for([
    { of: [["python"], []], env: ["NIX_PYTHONPATH=/share/nixport/python"] },
    { of: [[], ["perl"]], env: ["PERL5LIB=/lib/perl5/site_perl"] },
    {
      of: [["python"], ["perl", "python"]],
      env: ["PERL5LIB=/lib/perl5/site_perl", "NIX_PYTHONPATH=/share/nixport/python"],
    },
  ] as const)("tells interpreters of modules with $env where records have $of", async (row) => {
    const ingredients = ingredientsOf("git/htop");
    const records = recordsOf(ingredients, "gzip").map((record, place) => ({
      ...record,
      modules: row.of[place] ?? [],
    }));
    const { config } = await read("git/htop", "oci-gzip", ingredients, records);
    expect(config.config.Env).toStrictEqual([...BEFORE, ...row.env]);
  });

  test("starts what is named, and nothing that a front word stands for or needs", async () => {
    for (const [name, command] of [
      ["fhs/unix/htop", ["/bin/htop"]],
      ["unix", undefined],
      ["fhs/zlib", undefined],
      // Part of what unix stands for is what is named.
      ["less/which", ["/bin/less"]],
    ] as const) {
      const ingredients = ingredientsOf(name).map((each) => {
        const isOfWord = each.found.kind === "found" && /-1$/.test(each.found.name);
        const found = { ...each.found, ...(isOfWord && { mainProgram: each.name }) };
        return { ...each, found } as Ingredient;
      });
      const records = recordsOf(ingredients, "gzip").map((record) =>
        record.kind === "package" ? record : { ...record, program: "own" },
      );
      const { config } = await read(name, "oci-gzip", ingredients, records);
      expect(config.config.Cmd, name).toStrictEqual(command);
    }
  });

  test("starts the main program that the package set names, before one that was guessed", async () => {
    const [cacert, git, iana] = ingredientsOf("git");
    assert(cacert && git && iana);
    const named = { ...git, found: foundOf("git-2.39.5", { mainProgram: "gitk" }) };
    const { config } = await read("git", "oci-gzip", [cacert, named, iana]);
    expect(config.config.Cmd).toStrictEqual(["/bin/gitk"]);
  });

  const types = {
    "oci-zstd": [
      "oci.image.manifest.v1+json",
      "oci.image.config.v1+json",
      "oci.image.layer.v1.tar+zstd",
    ],
    "oci-gzip": [
      "oci.image.manifest.v1+json",
      "oci.image.config.v1+json",
      "oci.image.layer.v1.tar+gzip",
    ],
    "docker-gzip": [
      "docker.distribution.manifest.v2+json",
      "docker.container.image.v1+json",
      "docker.image.rootfs.diff.tar.gzip",
    ],
  } as const;
  test.for(VARIANTS)("writes the media types of %s", async (variant) => {
    const { image, manifest } = await read("git", variant);
    const layers = new Set(manifest.layers.map((layer) => layer.mediaType));
    expect([manifest.mediaType, manifest.config.mediaType, ...layers]).toStrictEqual(
      types[variant].map((type) => `application/vnd.${type}`),
    );
    expect(image.manifest.mediaType).toBe(manifest.mediaType);
  });

  test("says in labels what the image is", async () => {
    const { config } = await read("arm64/git/openssl");
    expect(config.architecture).toBe("arm64");
    const recipe = canonicalRecipe(recipeOf("arm64/git/openssl"));
    expect(config.config.Labels).toStrictEqual({
      "org.opencontainers.image.title": recipe,
      "org.opencontainers.image.description": "Nix packages: git-2.39.5, openssl-3.0",
      "nixport.recipe": recipe,
      "nixport.packages": "nss-cacert-3.98 git-2.39.5 iana-etc-20230215 openssl-3.0",
    });
  });

  test("names a version once, wherever the package set puts it", async () => {
    const [cacert, own, iana] = ingredientsOf("git");
    assert(cacert && own && iana);
    const { name: packageName } = own;
    for (const [name, version, shown] of [
      ["git", "2.39.5", "git-2.39.5"],
      ["git-2.39.5", "2.39.5", "git-2.39.5"],
      ["git", null, "git"],
    ] as const) {
      const git = { name: packageName, found: foundOf("x", { name, version }) };
      const { config } = await read("git", "oci-gzip", [cacert, git, iana]);
      expect(config.config.Labels["nixport.packages"] ?? "").toMatch(new RegExp(` ${shown} iana`));
    }
  });

  test("writes no time but the first second, and no value that JSON drops", async () => {
    for (const name of ["cacert", "shell/git"]) {
      const { image } = await read(name);
      const text = new TextDecoder().decode(image.config.bytes);
      expect([...new Set(text.match(/\d{4}-\d\d-\d\dT[^"]*/g))]).toStrictEqual([
        "1970-01-01T00:00:01Z",
      ]);
      expect(/undefined|NaN|\[object/.test(text)).toBe(false);
      for (const { bytes } of [image.config, image.manifest]) {
        const json = new TextDecoder().decode(bytes);
        expect(JSON.stringify(JSON.parse(json))).toBe(json);
      }
    }
  });
});
