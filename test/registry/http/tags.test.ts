import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tagListResponse } from "../../../registry/http/tags.ts";

describe("tagListResponse", () => {
  const rows: readonly [query: string, tags: readonly string[]][] = [
    ["", ["latest"]],
    ["?n=1", ["latest"]],
    ["?n=0", []],
    ["?n=none", ["latest"]],
    ["?last=a", ["latest"]],
    ["?last=latest", []],
    ["?ns=docker.io", ["latest"]],
  ];
  for (const [query, tags] of rows) {
    test(`lists ${tags.join(" ") || "nothing"} for ${query || "no query"}, with a length on HEAD`, async () => {
      const url = new URL(`https://registry.example/v2/git/tags/list${query}`);
      const get = tagListResponse("git", url, "GET");
      assert.equal(get.headers.get("content-type"), "application/json");
      const text = await get.text();
      assert.deepEqual(JSON.parse(text), { name: "git", tags });
      const head = tagListResponse("git", url, "HEAD");
      assert.equal(head.headers.get("content-length"), String(text.length));
      assert.equal(await head.text(), "");
    });
  }
});
