// What a client is told of each way in which an image cannot be had.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type BuildFailure, failureError } from "../../origin/failures.ts";
import type { LookupFailure } from "../../registry/lookup.ts";
import { recipeOf } from "../registry/fixture.ts";

const [NAME = assert.fail()] = recipeOf("0ad").packages;

describe("failureError", () => {
  const failures: readonly [failure: BuildFailure, code: string, message: RegExp][] = [
    [{ kind: "unknown-tag", message: "no tag x" }, "MANIFEST_UNKNOWN", /^no tag x$/],
    [{ kind: "unreachable", message: "gone" }, "UNAVAILABLE", /cannot be reached: gone$/],
    [
      {
        kind: "build-failed",
        failures: [
          { derivation: "a.drv", log: "one\ntwo\n" },
          { derivation: "b.drv", log: "three" },
        ],
      },
      "MANIFEST_UNKNOWN",
      /^building a\.drv failed: one\ntwo\nbuilding b\.drv failed: three$/,
    ],
    [{ kind: "unpackable", reason: "a name too long" }, "MANIFEST_UNKNOWN", /^a name too long$/],
    [{ kind: "timed-out", afterMs: 61_000 }, "UNAVAILABLE", /stopped after 61 s$/],
    [{ kind: "cancelled" }, "UNAVAILABLE", /going down$/],
    [{ kind: "too-many-layers", count: 130 }, "MANIFEST_UNKNOWN", /130 layers.*mount 125/],
  ];
  for (const [failure, code, message] of failures) {
    test(`says ${code} of ${failure.kind}`, () => {
      const error = failureError(failure);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      if (code === "UNAVAILABLE") assert.equal(error.status, 503);
    });
  }

  const lookups: readonly [failure: LookupFailure, message: string][] = [
    [{ kind: "missing", near: [] }, "no package 0ad"],
    [{ kind: "missing", near: ["0ad-data", "ad"] }, "no package 0ad (did you mean 0ad-data, ad?)"],
    [
      { kind: "not-a-package", what: "set", near: ["0ad.x"] },
      "0ad is a set, not a package (did you mean 0ad.x?)",
    ],
    [
      { kind: "unfree", licenses: ["a", "b"] },
      "0ad has an unfree licence (a, b), which the package source does not allow",
    ],
    [
      { kind: "unfree", licenses: [] },
      "0ad has an unfree licence (not named), which the package source does not allow",
    ],
    [{ kind: "broken" }, "0ad is marked broken in the package source"],
    [
      { kind: "insecure", vulnerabilities: ["CVE-1"] },
      "0ad is marked insecure in the package source (CVE-1)",
    ],
    [{ kind: "unsupported" }, "0ad does not support this platform"],
    [{ kind: "evaluation-failed", message: "why" }, "0ad cannot be evaluated: why"],
  ];
  for (const [failure, message] of lookups) {
    test(`says of a package that is ${failure.kind}: ${message}`, () => {
      const error = failureError({ kind: "packages-failed", packages: [{ name: NAME, failure }] });
      assert.equal(error.code, "MANIFEST_UNKNOWN");
      assert.equal(error.message, message);
      assert.deepEqual(error.options.detail, { [NAME]: failure });
    });
  }

  test("names every package that failed", () => {
    const packages = recipeOf("a/b").packages.map((name) => ({
      name,
      failure: { kind: "broken" } as const,
    }));
    const { message } = failureError({ kind: "packages-failed", packages });
    assert.equal(message.split("; ").length, packages.length);
  });
});
