import { describe, expect, test } from "vitest";
import { referrersResponse } from "../../../registry/http/referrers.ts";
import { OCI_INDEX } from "../../../registry/image/media-type.ts";

describe("referrersResponse", () => {
  test.each([
    ["no query", "", null],
    ["a filter", "?artifactType=application%2Fspdx%2Bjson", "artifactType"],
    ["an empty filter", "?artifactType=", null],
    ["a mirror's name", "?ns=docker.io", null],
  ])("lists nothing for %s, with a length on HEAD", async (_, query, filters) => {
    const url = new URL(`https://registry.example/v2/git/referrers/sha256:x${query}`);
    const get = referrersResponse(url, "GET");
    expect(get.status).toBe(200);
    expect(get.headers.get("Content-Type")).toBe(OCI_INDEX);
    expect(get.headers.get("OCI-Filters-Applied")).toBe(filters);
    const text = await get.text();
    expect(JSON.parse(text)).toStrictEqual({
      ...{ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] },
    });
    const head = referrersResponse(url, "HEAD");
    expect(head.headers.get("Content-Length")).toBe(String(text.length));
    expect(await head.text()).toBe("");
  });
});
