// The address that a client is told of an image that is being made.

import { describe, expect, test } from "vitest";
import { RegistryError } from "../../../registry/http/error.ts";
import { withPageAddress } from "../../../registry/http/page-address.ts";
import { tagOf } from "../fixture.ts";

const BUILDING = [{ reason: "building", progress: null }];
const building = new RegistryError("UNAVAILABLE", "not ready yet", {
  detail: BUILDING,
  retryAfterSeconds: 1,
});

function told(url: string, tag = "latest", headers: Readonly<Record<string, string>> = {}) {
  const image = { repository: "shell/git", tag: tagOf(tag) };
  return withPageAddress(building, new Request(url, { headers }), image);
}

describe("the page of an image that is being made", () => {
  test.for([
    ["https://registry.example.org/v2/", "latest", "https://registry.example.org/i/shell/git"],
    ["http://127.0.0.1:8787/v2/", "nixos-25.11", "http://127.0.0.1:8787/i/shell/git:nixos-25.11"],
    ["http://[::1]:8788/v2/", "latest", "http://[::1]:8788/i/shell/git"],
  ] as const)("is named by the host of %s", ([url, tag, address]) => {
    const error = told(url, tag);
    expect(error.message).toBe(`not ready yet; see ${address}`);
    expect(error.options).toStrictEqual(building.options);
    expect(error.status).toBe(503);
  });

  test("is named as TLS is ended before an origin", () => {
    const { message } = told("http://a.example/v2/", "latest", { "X-Forwarded-Proto": "https" });
    expect(message).toMatch(/see https:\/\/a\.example\//);
  });

  test.for([["http://a_b;c/"], [`http://${"a".repeat(300)}/`], ["http://a..b$c/"]])(
    "is not named by what is no host: %#",
    ([url]) => {
      expect(told(url ?? "").message).toBe("not ready yet");
    },
  );

  test("is not named of what goes wrong otherwise", () => {
    const error = new RegistryError("UNAVAILABLE", "no network", { detail: [{ reason: "busy" }] });
    const image = { repository: "git", tag: tagOf("latest") };
    expect(withPageAddress(error, new Request("https://a.example/"), image)).toBe(error);
  });
});
