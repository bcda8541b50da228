// Keys read back: what each of them is of, and that nothing else is taken for one.

import { expect, test } from "vitest";
import {
  COLLECTIONS,
  parseStorageKey,
  type StoredKey,
  storageKey,
} from "../../../origin/storage/keys.ts";
import type { PackageName } from "../../../registry/naming/recipe.ts";
import {
  digestOfText,
  hexOf,
  packingIdOf,
  pinOf,
  storePathOf,
  tagOf,
} from "../../registry/fixture.ts";

const digest = digestOfText("x");
const pin = pinOf("a".repeat(40));
const [packing, path, name] = [
  packingIdOf("packer.c1.g1.none"),
  storePathOf("hello-1.0"),
  "hello" as PackageName,
];
const [tag, system] = [tagOf("latest"), "x86_64-linux" as const];
const alone = { kind: "package", outputs: [path] } as const;
const several = { kind: "shell", outputs: [path, storePathOf("sh-1.0")] } as const;

const ROWS: readonly (readonly [key: string, of: StoredKey])[] = [
  [storageKey.layer(digest), { collection: "layers", digest }],
  [storageKey.manifest(digest), { collection: "manifests", digest }],
  [storageKey.making(digest), { collection: "makings", digest }],
  [storageKey.build("p", [path], null), { collection: "builds" }],
  [storageKey.segment("p", path), { collection: "segments" }],
  [storageKey.record(packing, alone), { collection: "records", packing, output: path }],
  [storageKey.record(packing, several), { collection: "records", packing, output: null }],
  [storageKey.lookup(pin, system, name), { collection: "lookups", pin, system, name }],
  [storageKey.asked(pin, system, name, 4096), { collection: "asked", pin }],
  [storageKey.index(pin, system), { collection: "index", pin, system }],
  [storageKey.indexObject(digest), { collection: "index-objects", digest }],
  [storageKey.indexSlice(pin, system, 12), { collection: "index-slices", pin, system }],
  [storageKey.pin("source", tag), { collection: "pins" }],
  [storageKey.answered("source"), { collection: "answered" }],
  [storageKey.popularity("source"), { collection: "popularity" }],
  [storageKey.tracked("source"), { collection: "tracked" }],
  [storageKey.outbox("git", tag, "oci-gzip"), { collection: "outbox" }],
  [storageKey.pushed("http://edge", digest), { collection: "pushed" }],
  [storageKey.pulls("2026-11-28", "8d1d3c5e-6c0e-4a43-8c1c-0f6d4d8f3a52"), { collection: "pulls" }],
  [storageKey.pinned("git:latest"), { collection: "pinned" }],
];

test.for(ROWS)("%s is read back", ([key, of]) => {
  expect(parseStorageKey(key)).toStrictEqual(of);
});

test("a key of every collection is read back", () => {
  const read = new Set(ROWS.map(([, { collection }]) => collection));
  expect(COLLECTIONS.filter((each) => !read.has(each))).toStrictEqual([]);
});

test.for([
  "",
  "layers",
  "layers/",
  `layers/${hexOf("x")}/x`,
  `layers/${hexOf("x")}.tmp`,
  `layers/${hexOf("x").toUpperCase()}`,
  `staging/1-2/${hexOf("x")}`,
  `records/${hexOf("x")}`,
  `lookups/${pin}/riscv64-linux/hello`,
  `lookups/main/${system}/hello`,
  `asked/${pin}/${system}/x`,
  `index/${pin}`,
  `index/${pin}/${system}/1`,
  `index-objects/${pin}`,
  `index-slices/${pin}/${system}/x`,
  "pulls/yesterday/8d1d3c5e-6c0e-4a43-8c1c-0f6d4d8f3a52",
  "pins/latest",
])("%j is no key", (key) => {
  expect(parseStorageKey(key)).toBeUndefined();
});
