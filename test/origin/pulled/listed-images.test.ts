// Which images are kept from their first pull on because an operator has said so.

import { expect, onTestFinished, test, vi } from "vitest";
import { openListedImages } from "../../../origin/pulled/listed-images.ts";
import { pinImage, unpinImage } from "../../../origin/pulled/pinned-images.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { digestOfText } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";

const DIGEST = digestOfText("a manifest");

test.for([
  ["git:latest", "latest oci-zstd cacert/git/iana-etc", true],
  ["git:latest", "latest docker-gzip arm64/cacert/git/iana-etc", true],
  ["git:latest", "latest oci-gzip amd64+arm64/cacert/git/iana-etc", true],
  ["git:latest", "latest oci-gzip arm64+amd64/cacert/git/iana-etc", true],
  ["git:latest", "old oci-zstd cacert/git/iana-etc", false],
  ["git:latest", "latest oci-zstd cacert/git/htop/iana-etc", false],
  ["arm64/git:latest", "latest oci-zstd cacert/git/iana-etc", false],
  ["arm64/git:latest", "latest oci-zstd arm64/cacert/git/iana-etc", true],
  [`git@${DIGEST}`, DIGEST, true],
  [`git@${DIGEST}`, digestOfText("another"), false],
] as const)("with %s on the list %s is on it: %s", async ([pinned, what, isOn]) => {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  await pinImage(store, pinned);
  const isListed = await openListedImages({ store, now: () => 0, log: readableLog().log });
  expect(isListed(what)).toBe(isOn);
});

test("a list that was changed counts a minute later", async () => {
  const store = await openFilesystemStore(await temporaryDirectory(onTestFinished));
  let nowMs = 0;
  const isListed = await openListedImages({ store, now: () => nowMs, log: readableLog().log });
  await pinImage(store, `git@${DIGEST}`);
  nowMs = 59_999;
  expect(isListed(DIGEST)).toBe(false);
  nowMs = 60_000;
  isListed(DIGEST);
  await vi.waitFor(() => expect(isListed(DIGEST)).toBe(true));
  await unpinImage(store, `git@${DIGEST}`);
  nowMs = 120_000;
  isListed(DIGEST);
  await vi.waitFor(() => expect(isListed(DIGEST)).toBe(false));
});
