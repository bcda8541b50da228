// What becomes of an image before it is answered: kept where its edge could not do without, noted and
// tracked.

import { assert, describe, expect, onTestFinished, test } from "vitest";
import { createKeptImages } from "../../../origin/images/kept-images.ts";
import { rememberImages } from "../../../origin/memory/recent-documents.ts";
import { createKeepPulled } from "../../../origin/pulling/keep-pulled.ts";
import type { PulledImage } from "../../../registry/between/pulled-images.ts";
import type { Pin } from "../../../registry/naming/pin.ts";
import { canonicalRecipe } from "../../../registry/naming/recipe.ts";
import { pinOf, tagOf } from "../../registry/fixture.ts";
import { openStorage, stockImage, stockIndex } from "../backfill/fixture.ts";
import { readableLog } from "../fixture.ts";

const asked = { tag: tagOf("latest"), variant: "oci-gzip", isKeptByEdge: false } as const;

async function prepare(hasEdge: boolean) {
  const { store } = await openStorage(onTestFinished);
  let nowMs = 0;
  const noted: Pin[] = [];
  const tracked: (readonly [recipe: string, isKept: boolean])[] = [];
  const pulled: PulledImage[] = [];
  const recent = rememberImages();
  const keep = createKeepPulled({
    kept: createKeptImages({ store, now: () => nowMs, log: readableLog().log }),
    answered: { note: async (pin) => void noted.push(pin) },
    tracked: {
      pulled: ({ recipe }, _pin, isKept) => void tracked.push([canonicalRecipe(recipe), isKept]),
    },
    pulls: { pulled: (image) => void pulled.push(image) },
    ...{ recent, hasEdge },
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { store, keep, noted, pulled, tracked, recent, pass };
}

describe("an image that is answered", () => {
  test("is noted with what it takes to find all that it needs", async () => {
    const { store, keep, pulled } = await prepare(true);
    const { answered } = await stockImage(store, "git", { isKept: false });
    await keep(answered, asked);
    const { tag } = asked;
    const { packing, manifest } = answered;
    const of = { recipe: "cacert/git/iana-etc", tag, pin: answered.pinned.pin, packing };
    expect(pulled).toStrictEqual([{ manifests: [manifest.digest], of }]);
  });

  test("of several platforms is noted for each of them, with the index", async () => {
    const { store, keep, pulled } = await prepare(true);
    const index = (await stockIndex(store, "perl")).answered;
    assert(index.kind === "index");
    await keep(index, asked);
    expect(pulled.map(({ manifests }) => manifests)).toStrictEqual(
      index.images.map(({ built }) => [built.image.manifest.digest, index.manifest.digest]),
    );
  });

  test("has its pin noted and is tracked; it is kept when it is pulled again", async () => {
    const { store, keep, noted, tracked, pass } = await prepare(true);
    const { answered } = await stockImage(store, "git", { isKept: false });
    expect(await keep(answered, asked)).toBe(false);
    expect(noted).toStrictEqual([answered.pinned.pin]);
    pass(60_000);
    expect(await keep(answered, { ...asked, tag: tagOf("other") })).toBe(false);
    expect(await keep(answered, asked)).toBe(true);
    const recipe = "cacert/git/iana-etc";
    expect(tracked).toStrictEqual([false, false, true].map((isKept) => [recipe, isKept]));
  });

  test("is kept at once where its edge keeps it", async () => {
    const { store, keep } = await prepare(true);
    const { answered } = await stockImage(store, "git", { isKept: false });
    expect(await keep(answered, { ...asked, isKeptByEdge: true })).toBe(true);
  });

  test("is not tracked where it stands in, or where its tag cannot move", async () => {
    const { store, keep, tracked, noted } = await prepare(true);
    const { answered } = await stockImage(store, "git", { isKept: false });
    await keep({ ...answered, movedTo: pinOf("f".repeat(40)) }, asked);
    await keep({ ...answered, pinned: { ...answered.pinned, immutable: true } }, asked);
    expect(tracked).toStrictEqual([]);
    expect(noted).toHaveLength(2);
  });

  test.for([
    ["an edge", true],
    ["no edge", false],
  ] as const)(
    "that an edge cannot compose by itself is kept at once where there is %s",
    async ([, hasEdge]) => {
      const { store, keep, recent } = await prepare(hasEdge);
      const { answered } = await stockImage(store, "git", { isKept: false });
      assert(answered.kind === "image");
      const { storedNames } = answered.built;
      const built = { ...answered.built, storedNames: storedNames.slice(1) };
      expect(await keep({ ...answered, built }, asked)).toBe(hasEdge);
      const index = (await stockIndex(store, "perl")).answered;
      expect(await keep({ ...index, omitted: [] }, asked)).toBe(false);
      expect(await keep(index, { ...asked, tag: tagOf("lacking") })).toBe(hasEdge);
      expect(recent.manifests.lookup(index.manifest.digest)).toBe(index.manifest.bytes);
    },
  );
});
