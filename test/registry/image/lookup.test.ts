// What is read of a lookup that others have written.

import { describe, expect, test } from "vitest";
import { parseFound, webAddress } from "../../../registry/image/lookup.ts";
import { foundOf } from "../fixture.ts";

describe("webAddress", () => {
  test.for([
    ["https://htop.dev", "https://htop.dev/"],
    ["http://example.org/a?b=c#d", "http://example.org/a?b=c#d"],
    ['https://example.org/"><script>', "https://example.org/%22%3E%3Cscript%3E"],
  ] as const)("takes %s", ([text, address]) => {
    expect(webAddress(text)).toBe(address);
    expect(webAddress(address)).toBe(address);
  });

  test.for([
    "javascript:alert(1)",
    " JavaScript:alert(1)",
    "data:text/html,<script>",
    "//example.org",
    "htop.dev",
    "",
    `https://example.org/${"a".repeat(512)}`,
  ])("takes nothing else: %s", (text) => {
    expect(webAddress(text)).toBeNull();
  });
});

test("a package that was stored without a homepage has none", () => {
  const { homepage: _, ...stored } = foundOf("htop-3.4.1");
  expect(parseFound(stored)).toStrictEqual(foundOf("htop-3.4.1"));
});
