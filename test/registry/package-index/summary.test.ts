import { expect, test } from "vitest";
import { decodeRoot, encodeRoot, type IndexRoot } from "../../../registry/package-index/root.ts";
import { readSummaries, summariesJson } from "../../../registry/package-index/summary.ts";
import { digestOfText, pinOf } from "../fixture.ts";

const ROOT: IndexRoot = {
  ...{
    pin: pinOf("a".repeat(40)),
    system: "x86_64-linux",
    isComplete: true,
    madeAtMs: 5,
    count: 2,
  },
  ...{ images: [], sets: [], shards: [] },
  names: { digest: digestOfText("names"), sizeBytes: 1 },
  texts: { digest: digestOfText("texts"), sizeBytes: 2 },
};

test("a page reads what is told of a root, and of no shard", () => {
  expect(decodeRoot(encodeRoot(ROOT))).toStrictEqual(ROOT);
  const told = JSON.parse(JSON.stringify(summariesJson([ROOT])));
  expect(readSummaries(told)).toStrictEqual([
    {
      ...{ system: "x86_64-linux", count: 2, isComplete: true, madeAtMs: 5 },
      ...{ names: ROOT.names.digest, texts: ROOT.texts.digest },
    },
  ]);
});

test("a page reads nothing out of anything else", () => {
  for (const json of [null, [], {}, { indexes: {} }, { indexes: [null, { system: "x" }] }]) {
    expect(readSummaries(json)).toStrictEqual([]);
  }
});
