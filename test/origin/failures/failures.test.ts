// What a client is told of each way in which an image cannot be had.

import { assert, describe, expect, test } from "vitest";
import {
  type BuildFailure,
  failureError,
  type PackageFailure,
} from "../../../origin/failures/failures.ts";
import type { Stage } from "../../../origin/waiting/hold-request.ts";
import { type BuildProgress, isStillBuilding } from "../../../registry/http/building.ts";
import { MAX_PACKAGES, type PackageName } from "../../../registry/naming/recipe.ts";
import { recipeOf } from "../../registry/fixture.ts";

const [NAME = expect.unreachable()] = recipeOf("0ad").packages;
const DERIVATION = "/nix/store/zd5x0izlknyd56d3jpi6w56ymany1c6g-a-1.drv";
const ALLOWED =
  "which this registry refuses; its operator could allow it with NIXPORT_NIXPKGS_CONFIG=";

describe("failureError", () => {
  const failures: readonly [failure: BuildFailure, code: string, message: RegExp][] = [
    [{ kind: "unknown-tag", message: "no tag x" }, "MANIFEST_UNKNOWN", /^no tag x$/],
    [{ kind: "unreachable", message: "gone" }, "UNAVAILABLE", /cannot be reached: gone$/],
    [
      { kind: "timed-out", what: "build", afterMs: 61_000 },
      "UNAVAILABLE",
      /^the build was stopped after 61 s$/,
    ],
    [
      { kind: "timed-out", what: "evaluation", afterMs: 180_000 },
      "UNAVAILABLE",
      /^looking the packages up was stopped after 180 s$/,
    ],
    [
      { kind: "nix-too-old", version: "2.8.0", needed: "2.18" },
      "UNAVAILABLE",
      /operator has to upgrade Nix: the package set needs 2\.18 or newer, and 2\.8\.0 runs here$/,
    ],
    [{ kind: "cancelled" }, "UNAVAILABLE", /going down$/],
    [
      { kind: "cache-failed", cache: "cache.nixos.org", reason: "HTTP error 500" },
      "UNAVAILABLE",
      /^the binary cache cache\.nixos\.org does not give what it should have: HTTP error 500; it is not built from source instead, so try again later$/,
    ],
    [
      { kind: "cache-failed", cache: null, reason: "at /srv/my/place" },
      "UNAVAILABLE",
      /^the binary cache of this registry does not .*: at …\/place; /,
    ],
    [
      { kind: "source-unreachable", derivation: DERIVATION, reason: "curl: (7) Refused" },
      "UNAVAILABLE",
      /^what \/nix\/store\/\w+-a-1\.drv is made of cannot be downloaded: curl: \(7\) Refused; /,
    ],
    [
      { kind: "host-failed", reason: "no space is left on its disk" },
      "UNAVAILABLE",
      /^the host of this registry cannot do it now: no space is left on its disk; try again later$/,
    ],
    [
      { kind: "not-in-caches", count: 1, derivations: [DERIVATION], limit: null },
      "UNAVAILABLE",
      /^no binary cache has what the derivation a-1 makes, and this registry builds nothing from source \(NIXPORT_BUILD=never\)$/,
    ],
    [
      { kind: "not-in-caches", count: 229, derivations: [DERIVATION], limit: 20 },
      "UNAVAILABLE",
      /^no binary cache has what 229 derivations make \(a-1 and 228 more\), and this registry builds 20 for one pull at most \(NIXPORT_MAX_SOURCE_BUILDS\)$/,
    ],
    [
      { kind: "set-failed", message: "no '/srv/set/x.nix'", place: "default.nix:3:1\u001b[2J" },
      "UNAVAILABLE",
      /^the package set does not load: no '…\/x\.nix' \(default\.nix:3:1\)$/,
    ],
    [
      { kind: "set-failed", message: "it aborts", place: null },
      "UNAVAILABLE",
      /^the package set does not load: it aborts$/,
    ],
    [{ kind: "too-many-layers", count: 130 }, "MANIFEST_UNKNOWN", /130 layers.*mount 125/],
    [{ kind: "busy", waiting: 100 }, "TOOMANYREQUESTS", /100 wait already; try again later$/],
    [
      { kind: "too-large", sizeBytes: 40e9, limitBytes: 34e9 },
      "MANIFEST_UNKNOWN",
      /take 40\.0 GB .* packs 34\.0 GB at most/,
    ],
  ];
  for (const [failure, code, message] of failures) {
    test(`says ${code} of ${failure.kind}`, () => {
      const error = failureError(failure);
      expect(error.code).toBe(code);
      expect(error.message).toMatch(message);
      const [detail] = error.options.detail as readonly { reason: string }[];
      expect(detail?.reason).toBe(failure.kind);
      if (code === "UNAVAILABLE") expect(error.status).toBe(503);
    });
  }

  const progress: BuildProgress = {
    builds: { done: 0, expected: 2, running: ["gcc-13"] },
    downloads: { doneBytes: 0, expectedBytes: 0 },
  };
  const layers = { done: 3, expected: 12, doneBytes: 40e6, expectedBytes: 120e6 };
  const stages: readonly [stage: Stage, message: RegExp][] = [
    [{ kind: "resolving" }, /: looking for the tag's revision; try again$/],
    [{ kind: "looking-up" }, /^not ready yet: looking the packages up; try again$/],
    [{ kind: "queued" }, /waiting for other builds/],
    [
      { kind: "fetching", doneBytes: 0, expectedBytes: 0 },
      /: fetching the package set; try again$/,
    ],
    [
      { kind: "fetching", doneBytes: 31_000_000, expectedBytes: 0 },
      /: fetching the package set: 31 MB; try again$/,
    ],
    [
      { kind: "fetching", doneBytes: 31_000_000, expectedBytes: 42_000_000 },
      /: fetching the package set: 31 of 42 MB; try again$/,
    ],
    [{ kind: "realising", progress }, /: building 1 of 2: gcc-13;/],
    [
      { kind: "realising", progress: { ...progress, builds: { ...progress.builds, running: [] } } },
      /: getting the packages;/,
    ],
    [{ kind: "packing" }, /: packing layers; try again$/],
    [{ kind: "packing", layers }, /: packing layers: 3 of 12, 40 of 120 MB;/],
    [
      { kind: "storing", layers: { ...layers, doneBytes: 0, expectedBytes: 0 } },
      /: storing layers: 3 of 12;/,
    ],
    [{ kind: "backfilling", layers }, /: giving the edge its layers: 3 of 12, 40 of 120 MB;/],
  ];
  for (const [stage, message] of stages) {
    test(`says of an image that is still ${stage.kind} how far it is: ${message.source}`, () => {
      // Whatever its client asks again after.
      for (const told of [503, 429] as const) {
        const failure = { kind: "still-under-way", stage, status: told } as const;
        const { status, message: said, options } = failureError(failure);
        expect(status).toBe(told);
        expect(said).toMatch(message);
        expect(options.retryAfterSeconds).toBe(1);
        expect(isStillBuilding(options.detail)).toBe(true);
      }
    });
  }

  const packages: readonly [failure: PackageFailure, message: string, detail: object][] = [
    [{ kind: "missing", near: [] }, "no package 0ad", { near: [] }],
    [
      { kind: "missing", near: ["gtk--2b", "h.0--46oo"] },
      "no package 0ad (did you mean gtk--2b, which is gtk+, h.0--46oo, which is h.Foo?)",
      { near: ["gtk--2b", "h.0--46oo"] },
    ],
    [
      {
        kind: "ambiguous",
        meant: [
          { attribute: "h.Foo", name: "h.0--46oo" },
          { attribute: "h.fOO", name: null },
        ],
      },
      "0ad may be h.Foo (written h.0--46oo), or h.fOO, which no image name can say: write the one that is meant",
      {
        meant: [
          { attribute: "h.Foo", name: "h.0--46oo" },
          { attribute: "h.fOO", name: null },
        ],
      },
    ],
    [
      { kind: "missing", near: ["0ad-data", "ad"] },
      "no package 0ad (did you mean 0ad-data, ad?)",
      { near: ["0ad-data", "ad"] },
    ],
    [
      { kind: "not-a-package", what: "set", near: ["0ad.x"] },
      "0ad is a set, not a package (did you mean 0ad.x?)",
      { what: "set", near: ["0ad.x"] },
    ],
    [
      { kind: "unfree", licenses: ["a", "b"] },
      `0ad has an unfree licence (a, b), ${ALLOWED}{"allowUnfree":true}`,
      { licenses: ["a", "b"], allow: { allowUnfree: true } },
    ],
    [
      { kind: "unfree", licenses: [] },
      `0ad has an unfree licence (not named), ${ALLOWED}{"allowUnfree":true}`,
      { licenses: [], allow: { allowUnfree: true } },
    ],
    [
      { kind: "broken" },
      `0ad is marked broken, ${ALLOWED}{"allowBroken":true}`,
      { allow: { allowBroken: true } },
    ],
    [
      { kind: "insecure", vulnerabilities: ["CVE-1"], name: "0ad-1.2" },
      `0ad is marked insecure (CVE-1), ${ALLOWED}{"permittedInsecurePackages":["0ad-1.2"]}`,
      { vulnerabilities: ["CVE-1"], allow: { permittedInsecurePackages: ["0ad-1.2"] } },
    ],
    [
      { kind: "unfree", licenses: ["a"], dependency: "b-1.0" },
      `0ad needs b-1.0, which has an unfree licence (a), ${ALLOWED}{"allowUnfree":true}`,
      { dependency: "b-1.0", licenses: ["a"], allow: { allowUnfree: true } },
    ],
    [
      { kind: "broken", dependency: "b-1.0" },
      `0ad needs b-1.0, which is marked broken, ${ALLOWED}{"allowBroken":true}`,
      { dependency: "b-1.0", allow: { allowBroken: true } },
    ],
    [
      { kind: "insecure", vulnerabilities: [], name: "b-1.0", dependency: "b-1.0" },
      `0ad needs b-1.0, which is marked insecure (why is not said), ${ALLOWED}{"permittedInsecurePackages":["b-1.0"]}`,
      {
        ...{ dependency: "b-1.0", vulnerabilities: [] },
        allow: { permittedInsecurePackages: ["b-1.0"] },
      },
    ],
    [
      { kind: "unsupported", system: "aarch64-linux", dependency: "b-1.0" },
      "0ad needs b-1.0, which does not support aarch64-linux",
      { dependency: "b-1.0", system: "aarch64-linux" },
    ],
    [
      { kind: "unsupported", system: "aarch64-linux" },
      "0ad does not support aarch64-linux",
      { system: "aarch64-linux" },
    ],
    [
      { kind: "evaluation-failed", message: "at '/srv/my set/x.nix'" },
      "0ad cannot be evaluated: at '…/x.nix'",
      { message: "at '…/x.nix'" },
    ],
    [
      { kind: "build-failed", derivation: DERIVATION, reason: "exit code 1", log: ["one", "two"] },
      `0ad cannot be built: ${DERIVATION}: exit code 1\n  one\n  two`,
      { derivation: DERIVATION, message: "exit code 1", log: ["one", "two"] },
    ],
    [
      {
        ...{ kind: "build-failed", derivation: DERIVATION, log: ["in /tmp/nix-build-a.drv-0/a.c"] },
        reason: `builder for '${DERIVATION}' failed`,
      },
      `0ad cannot be built: builder for '${DERIVATION}' failed\n  in …/a.c`,
      {
        ...{ derivation: DERIVATION, message: `builder for '${DERIVATION}' failed` },
        log: ["in …/a.c"],
      },
    ],
    [
      { kind: "build-timed-out", derivation: DERIVATION, afterMs: 2000, log: ["last"] },
      `0ad cannot be built: ${DERIVATION} was stopped after 2 s, the time that one builder has\n  last`,
      { derivation: DERIVATION, afterSeconds: 2, log: ["last"] },
    ],
    [
      { kind: "unpackable", reason: "a name too long" },
      "0ad cannot be put into a layer: a name too long",
      { message: "a name too long" },
    ],
  ];
  for (const [failure, message, facts] of packages) {
    test(`says of a package that is ${failure.kind}: ${message}`, () => {
      const error = failureError({ kind: "packages-failed", packages: [{ name: NAME, failure }] });
      expect(error.message).toBe(message);
      const detail = { package: NAME, reason: failure.kind, ...facts };
      expect(error.options.detail).toStrictEqual([detail]);
      expect(error.code).toBe("MANIFEST_UNKNOWN");
    });
  }

  test("names every package that failed, each on a line of its own", () => {
    const { message, options } = failureOfAll(recipeOf("a/b").packages, { kind: "broken" });
    const names = recipeOf("a/b").packages;
    const lines = message.split("\n").map((line) => line.split(" ")[0]);
    expect(lines).toStrictEqual(names);
    expect(options.detail as readonly object[]).toHaveLength(names.length);
  });

  test("says a cause once, with all names that it hit", () => {
    const [one, two] = [1, 2].map((n): PackageFailure => {
      return { kind: "build-failed", derivation: DERIVATION, reason: `exit code ${n}`, log: ["a"] };
    });
    assert(one !== undefined && two !== undefined);
    const packages = [one, two, one].map((failure, n) => ({
      name: `p${n}` as PackageName,
      failure,
    }));
    const { message, options } = failureError({ kind: "packages-failed", packages });
    expect(message).toBe(
      `p0, p2 cannot be built: ${DERIVATION}: exit code 1\n  a\np1 cannot be built: ${DERIVATION}: exit code 2\n  a`,
    );
    expect(options.detail).toHaveLength(3);
  });

  const long = "ü/home/x".repeat(20_000);
  const lines = Array.from({ length: 50 }, (_, n) => `${n} ${long}`);
  const endless: readonly PackageFailure[] = [
    { kind: "missing", near: lines },
    { kind: "ambiguous", meant: [{ attribute: long, name: long }] },
    { kind: "unfree", licenses: lines },
    { kind: "broken", dependency: long },
    { kind: "insecure", vulnerabilities: lines, name: "x" },
    { kind: "insecure", vulnerabilities: [], name: long },
    { kind: "evaluation-failed", message: long },
    { kind: "build-failed", derivation: DERIVATION, reason: long, log: lines },
    { kind: "build-timed-out", derivation: DERIVATION, afterMs: 1, log: lines },
    { kind: "unpackable", reason: long },
  ];
  test.for(endless)("keeps the words within limits when $kind has no end", (failure) => {
    const one = failureOfAll([NAME], failure);
    expect(one.message.length, String(one.message.length)).toBeLessThanOrEqual(6100);
    const most = Array.from({ length: MAX_PACKAGES }, (_, n) => `p${n}` as PackageName);
    const all = failureOfAll(most, failure);
    expect(all.message.length, String(all.message.length)).toBeLessThanOrEqual(16_000);
    for (const name of most) expect(all.message).toMatch(new RegExp(`\\b${name}\\b`));
    for (const { options } of [one, all]) {
      const each = JSON.stringify(options.detail).length / (options.detail as []).length;
      expect(each, String(each)).toBeLessThanOrEqual(14_000);
    }
  });

  test("keeps the last lines of a log", () => {
    const log = Array.from({ length: 30 }, (_, n) => `line ${n}`);
    const failure = { kind: "build-failed", derivation: DERIVATION, reason: "x", log } as const;
    const { message } = failureOfAll([NAME], failure);
    expect(message).toMatch(/line 20\n {2}.*line 29$/s);
    expect(message).not.toMatch(/line 19\n/);
  });
});

function failureOfAll(names: readonly PackageName[], failure: PackageFailure) {
  const packages = names.map((name) => ({ name, failure }));
  return failureError({ kind: "packages-failed", packages });
}
