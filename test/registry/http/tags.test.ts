import { describe, expect, test } from "vitest";
import { tagListResponse } from "../../../registry/http/tags.ts";

describe("tagListResponse", () => {
  const rows: readonly [query: string, tags: readonly string[]][] = [
    ["", ["latest"]],
    ["?n=1", ["latest"]],
    ["?n=0", []],
    ["?n=0&last=a", []],
    ["?n=5", ["latest"]],
    ["?n=99999999999", ["latest"]],
    ["?n=5&last=a", ["latest"]],
    ["?n=5&last=latest", []],
    ["?n=5&last=zz", []],
    ["?n=none", ["latest"]],
    ["?n=-1", ["latest"]],
    ["?last=a", ["latest"]],
    ["?last=latest", []],
    ["?ns=docker.io", ["latest"]],
  ];
  for (const [query, tags] of rows) {
    test(`lists ${tags.join(" ") || "nothing"} for ${query || "no query"}, with a length on HEAD`, async () => {
      const url = new URL(`https://registry.example/v2/git/tags/list${query}`);
      const get = tagListResponse("git", url, "GET");
      expect(get.headers.get("content-type")).toBe("application/json");
      // Nothing is left for a next page.
      expect(get.headers.get("link")).toBeNull();
      const text = await get.text();
      expect(JSON.parse(text)).toStrictEqual({ name: "git", tags });
      const head = tagListResponse("git", url, "HEAD");
      expect(head.headers.get("content-length")).toBe(String(text.length));
      expect(await head.text()).toBe("");
    });
  }
});
