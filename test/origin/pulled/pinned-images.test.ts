// What a pinned image is called, and what is kept of it.

import { expect, onTestFinished, test } from "vitest";
import {
  imageName,
  knownOf,
  pinImage,
  pinnedImages,
  rememberKnown,
  unpinImage,
} from "../../../origin/pulled/pinned-images.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import type { PulledImage } from "../../../registry/between/pulled-images.ts";
import { digestOfText, packingIdOf, pinOf, tagOf } from "../../registry/fixture.ts";
import { temporaryDirectory } from "../fixture.ts";

const DIGEST = digestOfText("a manifest");

test.for([
  ["shell/git", "shell/git:latest"],
  ["git:nixos-25.05", "git:nixos-25.05"],
  [`git@${DIGEST}`, `git@${DIGEST}`],
  [`git:latest@${DIGEST}`, undefined],
  ["git@sha256:1", undefined],
  ["Git", undefined],
  ["git/shell", undefined],
  ["git:", undefined],
  ["", undefined],
] as const)("%s is %s in the list", ([text, name]) => {
  expect(imageName(text)).toBe(name);
});

function pulled(recipe: string, tag: string, commit: string, digest = DIGEST): PulledImage {
  const packing = packingIdOf("packer.c1.g1.none");
  const of = { recipe, tag: tagOf(tag), pin: pinOf(commit.repeat(40)), packing };
  return { manifests: [digest], of };
}

const NEW = pulled("cacert/git/iana-etc", "latest", "b");
const NEW_ARM = pulled("arm64/cacert/git/iana-etc", "latest", "b");
const OLD = pulled("cacert/git/iana-etc", "latest", "a");
const OTHER_TAG = pulled("cacert/git/iana-etc", "old", "c", digestOfText("other"));
const OTHER = pulled("cacert/htop/iana-etc", "latest", "b", digestOfText("htop"));
const ALL = [OTHER, NEW, NEW_ARM, OTHER_TAG, OLD];

test.for([
  ["a tag at its last pull, on all platforms", "git:latest", [], ALL, [NEW, NEW_ARM]],
  ["one platform that is named", "arm64/git:latest", [], ALL, [NEW_ARM]],
  ["a tag that nobody has pulled lately as it was", "git:latest", [OLD], [OTHER], [OLD]],
  ["a digest whatever its pin", `git@${DIGEST}`, [OLD], [NEW, OTHER], [NEW, OLD]],
  ["nothing of what nobody has pulled yet", "perl:latest", [], ALL, []],
] as const)("the list keeps %s", ([, image, known, newestFirst, kept]) => {
  expect(knownOf({ image, known }, newestFirst)).toStrictEqual(kept);
});

test("the list lies in the storage, with what is known of each image", async () => {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  await pinImage(store, "git:latest");
  const [pinned] = await pinnedImages(store);
  expect(pinned).toStrictEqual({ image: "git:latest", known: [] });
  await rememberKnown(store, { image: "git:latest", known: [] }, [NEW]);
  await pinImage(store, "git:latest");
  expect(await pinnedImages(store)).toStrictEqual([{ image: "git:latest", known: [NEW] }]);
  await unpinImage(store, "git:latest");
  expect(await pinnedImages(store)).toStrictEqual([]);
});
