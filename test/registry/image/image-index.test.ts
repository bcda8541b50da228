// The bytes of an index, pinned, and what it says of the platforms it lacks.

import * as v from "valibot";
import { describe, expect, test } from "vitest";
import {
  composeIndex,
  manifestsOf,
  omit,
  omittedHeader,
  omittedSchema,
  type PlatformImage,
} from "../../../registry/image/image-index.ts";
import { VARIANTS } from "../../../registry/image/variant.ts";
import { digestOfText, recipeOf } from "../fixture.ts";

function imageOf(repository: string): PlatformImage {
  const bytes = new TextEncoder().encode(`the manifest of ${repository}`);
  return {
    recipe: recipeOf(repository),
    manifest: { bytes, digest: digestOfText(`the manifest of ${repository}`) },
  };
}

const BOTH = [imageOf("amd64/git"), imageOf("arm64/git")];
const WITHOUT_ARM64 = [omit("arm64", "no package git")];

async function textOf(...args: Parameters<typeof composeIndex>): Promise<string> {
  return new TextDecoder().decode((await composeIndex(...args)).bytes);
}

describe("composeIndex", () => {
  const golden: Readonly<Record<string, readonly [both: string, one: string]>> = {
    "oci-zstd": [
      "sha256:fdff0822861f5d0b8456580f0e89f821238b946b9618ccf053dde40885132256",
      "sha256:790d335084b7bfe28ca3a79460a32b36ce5133cb84468b372a82bbb3fcb88fcd",
    ],
    "oci-gzip": [
      "sha256:fdff0822861f5d0b8456580f0e89f821238b946b9618ccf053dde40885132256",
      "sha256:790d335084b7bfe28ca3a79460a32b36ce5133cb84468b372a82bbb3fcb88fcd",
    ],
    "docker-gzip": [
      "sha256:88ee57127b0be0f411b147b793ce4c7e0e957fcfbe7f9b4581a5dc82c6bedf1f",
      "sha256:b5d03e047619c3a4e3bb1cc19134d1a6f37a2c49cc038feec27c06e469484029",
    ],
  };
  test.for(VARIANTS)("gives %s the bytes it always had", async (variant) => {
    const both = await composeIndex(BOTH, [], variant);
    const one = await composeIndex(BOTH.slice(0, 1), WITHOUT_ARM64, variant);
    expect([both.digest, one.digest]).toStrictEqual(golden[variant]);
  });

  test("names each platform's manifest by type, digest, size and machine", async () => {
    const [amd64, arm64] = BOTH.map(({ manifest }) => manifest);
    expect(JSON.parse(await textOf(BOTH, [], "oci-zstd"))).toStrictEqual({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: amd64?.digest,
          size: 25,
          platform: { architecture: "amd64", os: "linux" },
        },
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          digest: arm64?.digest,
          size: 25,
          platform: { architecture: "arm64", os: "linux" },
        },
      ],
      annotations: {
        "org.opencontainers.image.title": "cacert/git/iana-etc",
        "nixport.recipe": "cacert/git/iana-etc",
      },
    });
  });

  test("says in its annotations the front words of its images", async () => {
    const images = BOTH.map((image) => ({
      ...image,
      recipe: { ...image.recipe, words: ["fhs", "nonroot"] as const },
    }));
    const { annotations } = JSON.parse(await textOf(images, [], "oci-zstd"));
    expect(annotations["nixport.recipe"]).toBe("fhs/nonroot/cacert/git/iana-etc");
  });

  test("says in an annotation which platform is left out, and why", async () => {
    const index = JSON.parse(await textOf(BOTH.slice(0, 1), WITHOUT_ARM64, "oci-gzip"));
    expect(index.manifests).toHaveLength(1);
    expect(index.annotations["nixport.omitted.linux.arm64"]).toBe("no package git");
  });

  test("writes a Docker manifest list, which has no annotations, for Docker schema 2", async () => {
    const list = JSON.parse(await textOf(BOTH, WITHOUT_ARM64, "docker-gzip"));
    expect(list.mediaType).toBe("application/vnd.docker.distribution.manifest.list.v2+json");
    const types = list.manifests.map((each: { mediaType: string }) => each.mediaType);
    expect(new Set(types)).toStrictEqual(
      new Set(["application/vnd.docker.distribution.manifest.v2+json"]),
    );
    expect("annotations" in list).toBe(false);
  });
});

describe("manifestsOf", () => {
  test("gives the digests of an index in its order, and throws for anything else", async () => {
    const { bytes } = await composeIndex(BOTH, [], "docker-gzip");
    expect(manifestsOf(bytes)).toStrictEqual(BOTH.map(({ manifest }) => manifest.digest));
    expect(() => manifestsOf(new TextEncoder().encode("{}"))).toThrow();
  });
});

describe("omittedHeader", () => {
  test("is absent where nothing is left out", () => expect(omittedHeader([])).toBeUndefined());

  test("says each platform and its reason", () => {
    expect(omittedHeader(WITHOUT_ARM64)).toBe('linux/arm64="no package git"');
  });

  test("has the lines of a reason in one", () => {
    const { reason } = omit("arm64", "no package a\nno package b\n");
    expect(reason).toBe("no package a; no package b");
  });

  test("is a valid header, and short, whatever a package set says", () => {
    for (const reason of [
      'a "b" \\c',
      "line\r\nInjected: x",
      "ünïcode\u{1f600}",
      "x".repeat(5000),
    ]) {
      const header = omittedHeader([omit("amd64", reason), omit("arm64", reason)]) ?? "";
      expect(new Headers({ "Nixport-Omitted": header }).get("Nixport-Omitted")).toBe(header);
      expect(v.parse(omittedSchema, header)).toBe(header);
    }
  });
});
