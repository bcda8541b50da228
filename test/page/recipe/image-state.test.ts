import { describe, expect, test } from "vitest";
import { readImageState, sharingOf } from "../../../page/recipe/image-state.ts";
import { digestOfText } from "../../registry/fixture.ts";

const [GZIP, ZSTD, A, B] = ["gzip", "zstd", "a", "b"].map(digestOfText);
const layer = (diffId: typeof A, sizeBytes: number) => ({ diffId, sizeBytes });
const answer = (facts: object) => ({
  architecture: "amd64",
  image: { state: "known", facts },
});

describe("readImageState", () => {
  test("takes the digest that every client reads, where there is one", () => {
    const variants = [
      { variant: "oci-zstd", digest: ZSTD, sizeBytes: 3 },
      { variant: "oci-gzip", digest: GZIP, sizeBytes: 4 },
    ];
    const layers = [layer(A, 1)];
    expect(readImageState(answer({ variants, layers }))).toMatchObject({
      ...{
        kind: "known",
        digest: GZIP,
        isZstd: false,
        architecture: "amd64",
        layers,
        sizeBytes: 4,
      },
    });
    const zstd = readImageState(answer({ variants: variants.slice(0, 1), layers }));
    expect(zstd).toMatchObject({ digest: ZSTD, isZstd: true });
  });

  test("tells what is not known from what has failed, and neither from anything else", () => {
    expect(readImageState({ image: { state: "unknown" } })).toStrictEqual({ kind: "unknown" });
    expect(readImageState({ image: { state: "failed", message: "no" } })).toStrictEqual({
      kind: "failed",
      message: "no",
    });
    expect(readImageState({ errors: [{ code: "UNAUTHORIZED", message: "log in" }] })).toStrictEqual(
      {
        kind: "failed",
        message: "log in",
      },
    );
    for (const json of [
      null,
      3,
      [],
      {},
      { image: "known" },
      answer({}),
      answer({ variants: [{ variant: "oci-gzip", digest: "x" }], layers: [layer(A, 1)] }),
      answer({ variants: [{ variant: "oci-gzip", digest: GZIP }], layers: [{ diffId: A }] }),
    ]) {
      expect(readImageState(json), JSON.stringify(json)).toBeUndefined();
    }
  });
});

test("sharingOf counts each layer once, and those alone that others have", () => {
  const layers = [layer(A, 10), layer(B, 5), layer(A, 10)].flatMap((each) =>
    each.diffId === undefined ? [] : [{ ...each, diffId: each.diffId }],
  );
  expect(sharingOf(layers, layers.slice(1, 2))).toStrictEqual({ totalBytes: 15, sharedBytes: 5 });
  expect(sharingOf(layers, [])).toStrictEqual({ totalBytes: 15, sharedBytes: 0 });
});
