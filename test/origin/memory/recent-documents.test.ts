// Documents of late, bounded by their bytes.

import { expect, test } from "vitest";
import { rememberDocuments } from "../../../origin/memory/recent-documents.ts";
import { digestOfText } from "../../registry/fixture.ts";

const document = (name: string, sizeBytes: number) => ({
  digest: digestOfText(name),
  bytes: new Uint8Array(sizeBytes),
});

test("those used longest ago make room, by bytes in all, each counted once", () => {
  const memory = rememberDocuments(100);
  for (let times = 0; times < 10; times++) memory.store(document("a", 40));
  memory.store(document("b", 40));
  memory.lookup(digestOfText("a"));
  memory.store(document("c", 40));
  const left = ["a", "b", "c"].map((name) => memory.lookup(digestOfText(name))?.length);
  expect(left).toStrictEqual([40, undefined, 40]);
});
