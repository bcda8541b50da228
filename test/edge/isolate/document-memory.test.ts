// The documents that an isolate remembers: bounded, and the one used longest ago makes room.

import { expect, test } from "vitest";
import { createDocumentMemory } from "../../../edge/isolate/document-memory.ts";
import type { Manifest } from "../../../edge/isolate/manifest.ts";
import { OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import { digestOfText } from "../../registry/fixture.ts";

function manifestOf(name: string, sizeBytes: number): Manifest {
  return {
    ...{ digest: digestOfText(name), mediaType: OCI_MANIFEST, bytes: new Uint8Array(sizeBytes) },
  };
}

test("gives back what was stored", () => {
  const memory = createDocumentMemory();
  const manifest = manifestOf("a", 10);
  memory.store(manifest);
  expect(memory.lookup(manifest.digest)).toBe(manifest);
  expect(memory.lookup(digestOfText("b"))).toBeUndefined();
});

test("lets go of what was used longest ago, by bytes in all", () => {
  const memory = createDocumentMemory(100);
  const [a, b, c] = [manifestOf("a", 40), manifestOf("b", 40), manifestOf("c", 40)] as const;
  memory.store(a);
  memory.store(b);
  memory.lookup(a.digest);
  memory.store(c);
  expect([a, b, c].map(({ digest }) => memory.lookup(digest))).toStrictEqual([a, undefined, c]);
});

test("counts a manifest once, however often it is stored", () => {
  const memory = createDocumentMemory(100);
  const [a, b] = [manifestOf("a", 40), manifestOf("b", 40)] as const;
  memory.store(a);
  for (let times = 0; times < 10; times += 1) memory.store(b);
  expect(memory.lookup(a.digest)).toBe(a);
});

test("forgets what it was given a day ago, however often it was asked for", () => {
  let nowMs = 0;
  const memory = createDocumentMemory(undefined, () => nowMs);
  const manifest = manifestOf("a", 10);
  memory.store(manifest);
  nowMs = 86_399_999;
  expect(memory.lookup(manifest.digest)).toBe(manifest);
  nowMs += 1;
  expect(memory.lookup(manifest.digest)).toBeUndefined();
  memory.store(manifest);
  expect(memory.lookup(manifest.digest)).toBe(manifest);
});

test("does not give room to one that would take that of many", () => {
  const memory = createDocumentMemory();
  const large = manifestOf("large", 256 * 1024 + 1);
  memory.store(large);
  expect(memory.lookup(large.digest)).toBeUndefined();
});
