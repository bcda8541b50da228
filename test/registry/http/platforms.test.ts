// Which platforms a pull is for, and what clients get that take an index or do not.

import { assert, describe, expect, test } from "vitest";
import { chooseVariant } from "../../../registry/http/negotiation.ts";
import {
  canonicalImage,
  formatPlatforms,
  originHeaders,
  type Platforms,
  parsePlatforms,
  type WantedImage,
  wantedImage,
} from "../../../registry/http/platforms.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../../registry/image/media-type.ts";
import { VARIANTS } from "../../../registry/image/variant.ts";
import {
  canonicalRecipe,
  type NamedRecipe,
  parseRepository,
} from "../../../registry/naming/recipe.ts";
import { recipeOf } from "../fixture.ts";

const BOTH: Platforms = ["amd64", "arm64"];
const ALL_TYPES = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(", ");

function named(repository: string): NamedRecipe {
  const result = parseRepository(repository);
  assert(result.kind === "recipe");
  return result.recipe;
}

function wanted(repository: string, platforms: Platforms, accept: string | null): WantedImage {
  const headers = new Headers(accept === null ? {} : { Accept: accept });
  return wantedImage(named(repository), platforms, headers, chooseVariant(headers, "known"));
}

describe("parsePlatforms", () => {
  const rows: readonly [text: string, platforms: readonly string[] | undefined][] = [
    ["linux/amd64", ["amd64"]],
    ["linux/amd64,linux/arm64", ["amd64", "arm64"]],
    [" linux/arm64 , linux/amd64 ", ["arm64", "amd64"]],
    ["", undefined],
    ["amd64", undefined],
    ["linux/riscv64", undefined],
    ["windows/amd64", undefined],
    ["linux/arm64/v8", undefined],
    ["linux/amd64,", undefined],
    ["linux/amd64,linux/amd64", undefined],
    ["linux/amd64,linux/s390x", undefined],
  ];
  for (const [text, platforms] of rows) {
    test(`reads ${JSON.stringify(text)} as ${platforms ?? "no list of platforms"}`, () => {
      const parsed = parsePlatforms(text);
      expect(parsed).toStrictEqual(platforms);
      if (parsed !== undefined)
        expect(parsePlatforms(formatPlatforms(parsed))).toStrictEqual(parsed);
    });
  }
});

describe("wantedImage", () => {
  const rows: readonly [
    name: string,
    platforms: Platforms,
    accept: string | null,
    kind: WantedImage["kind"],
    canonical: string,
  ][] = [
    ["git", ["amd64"], ALL_TYPES, "image", "cacert/git/iana-etc"],
    ["git", ["arm64"], ALL_TYPES, "image", "arm64/cacert/git/iana-etc"],
    ["amd64/git", ["arm64"], ALL_TYPES, "image", "cacert/git/iana-etc"],
    ["git", BOTH, ALL_TYPES, "index", "amd64+arm64/cacert/git/iana-etc"],
    ["git", ["arm64", "amd64"], ALL_TYPES, "index", "arm64+amd64/cacert/git/iana-etc"],
    ["amd64/git", BOTH, ALL_TYPES, "image", "cacert/git/iana-etc"],
    ["arm64/git", BOTH, ALL_TYPES, "image", "arm64/cacert/git/iana-etc"],
    ["git", BOTH, null, "index", "amd64+arm64/cacert/git/iana-etc"],
    ["nonroot/fhs/git", BOTH, null, "index", "amd64+arm64/fhs/nonroot/cacert/git/iana-etc"],
    ["fhs/arm64/git", BOTH, null, "image", "arm64/fhs/cacert/git/iana-etc"],
    ["git", BOTH, "*/*", "index", "amd64+arm64/cacert/git/iana-etc"],
    ["git", BOTH, OCI_MANIFEST, "first", "cacert/git/iana-etc"],
    ["git", ["arm64", "amd64"], OCI_MANIFEST, "first", "arm64/cacert/git/iana-etc"],
    ["git", BOTH, DOCKER_MANIFEST, "first", "cacert/git/iana-etc"],
    [
      "git",
      BOTH,
      `${DOCKER_MANIFEST}, ${DOCKER_MANIFEST_LIST}`,
      "index",
      "amd64+arm64/cacert/git/iana-etc",
    ],
    // An index names manifests of its own family only.
    ["git", BOTH, `${OCI_MANIFEST}, ${DOCKER_MANIFEST_LIST}`, "first", "cacert/git/iana-etc"],
  ];
  test.for(rows)(
    "takes %s on %s with %s for %s %s",
    ([name, platforms, accept, kind, canonical]) => {
      const image = wanted(name, platforms, accept);
      expect([image.kind, canonicalImage(image)]).toStrictEqual([kind, canonical]);
    },
  );

  test("never spells an index like an image", () => {
    const index = canonicalImage(wanted("git", BOTH, ALL_TYPES));
    expect(index).not.toBe(canonicalRecipe(recipeOf("amd64/git")));
    expect(parseRepository(index).kind).toBe("invalid");
  });
});

describe("originHeaders", () => {
  test("let the origin choose what the edge chose, whatever the origin is configured for", () => {
    for (const variant of VARIANTS) {
      for (const accept of [ALL_TYPES, OCI_MANIFEST, DOCKER_MANIFEST, "*/*"]) {
        for (const name of ["git", "arm64/git"]) {
          const client = new Headers({ Accept: accept });
          const image = wantedImage(named(name), BOTH, client, variant);
          const asked = new Headers(originHeaders(image, BOTH, variant));
          const platforms = parsePlatforms(asked.get("Nixport-Platforms") ?? "");
          assert(platforms !== undefined);
          expect(chooseVariant(asked, "known")).toBe(variant);
          expect(wantedImage(named(name), platforms, asked, variant)).toStrictEqual(image);
        }
      }
    }
  });
});
