// What edge and origin read of each other and of their storage: whole values of the right shape are
// taken without what is not known, and everything else is refused.

import * as v from "valibot";
import { describe, expect, test } from "vitest";
import {
  lookupsBodySchema,
  MAX_LOOKUPS_PER_BODY,
  MAX_RECORDS_PER_BODY,
  packageNameSchema,
  pointersBodySchema,
  recordsBodySchema,
  tagSchema,
} from "../../../registry/between/backfill.ts";
import { MAX_LATEST_PINS, tagPinsSchema } from "../../../registry/between/tag-pins.ts";
import {
  foundPackageSchema,
  foundSchema,
  parseFound,
  parseLookup,
  storePathSchema,
} from "../../../registry/image/lookup.ts";
import {
  digestSchema,
  layerRecordSchema,
  packageRecordSchema,
  packingIdSchema,
  parsePackageRecord,
  parsePackingId,
  recordLayers,
} from "../../../registry/image/record.ts";
import { parsePin, pinSchema } from "../../../registry/naming/pin.ts";
import {
  bundleOf,
  digestOfText,
  foundOf,
  hexOf,
  layerOf,
  packingIdOf,
  pinOf,
  recordOf,
  storePathOf,
  tagOf,
  viewOf,
} from "../fixture.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const PIN = pinOf(COMMIT);
const RECORD = recordOf("bash-5.2", {
  bundles: [bundleOf(["glibc-2.36"], 90), bundleOf(["bash-5.2", "readline-8.2"], 1)],
  provides: ["/bin/sh", "/bin/bash"],
  fallback: {
    links: [{ path: "/usr/bin/env", target: "/nix/store/x/bin/env" }],
    layer: layerOf("env"),
  },
  above: { links: [{ path: "/usr/bin", target: "../bin" }], layer: layerOf("above") },
  program: "bash",
});
const FOUND = foundOf("bash-5.2", { description: "a shell", licenses: ["GPL-3.0-or-later"] });
const FOUND_IMAGE = {
  kind: "image",
  attribute: "nixportImages.web",
  contents: [FOUND],
  config: { Cmd: ["/bin/bash"] },
};
const PINNED = { pin: PIN, resolvedAtMs: 1 };
const PACKINGS = { zstd: packingIdOf("zstd-1.none"), gzip: packingIdOf("gzip-1.none") };
const TAG_PINS = { pins: [PINNED], packings: PACKINGS, composeVersion: 1 };
const POINTER = {
  recipe: "bash/cacert/iana-etc",
  tag: tagOf("latest"),
  variant: "oci-zstd",
  digest: digestOfText("manifest"),
  packing: PACKINGS.zstd,
  omitted: null,
  ...PINNED,
};
const LOOKUP = { name: "bash", found: FOUND };

type Json = Readonly<Record<string, unknown>>;

const SCHEMAS: readonly [name: string, schema: v.GenericSchema<unknown, unknown>, value: Json][] = [
  ["layerRecordSchema", layerRecordSchema, { ...layerOf("x") }],
  ["packageRecordSchema", packageRecordSchema, { ...RECORD }],
  ["foundPackageSchema", foundPackageSchema, { ...FOUND }],
  ["foundSchema", foundSchema, { ...FOUND_IMAGE }],
  ["tagPinsSchema", tagPinsSchema, TAG_PINS],
  ["recordsBodySchema", recordsBodySchema, { records: [RECORD] }],
  ["lookupsBodySchema", lookupsBodySchema, { pin: PIN, system: "x86_64-linux", lookups: [LOOKUP] }],
  [
    "pointersBodySchema",
    pointersBodySchema,
    { tag: { tag: "latest", pins: TAG_PINS }, image: POINTER },
  ],
];

function isValid(schema: v.GenericSchema<unknown, unknown>, value: unknown): boolean {
  return v.safeParse(schema, value).success;
}

describe.for(SCHEMAS)("%s", ([, schema, value]) => {
  test("takes a whole value as it is, through JSON too", () => {
    expect(v.parse(schema, value)).toStrictEqual(value);
    expect(v.parse(schema, JSON.parse(JSON.stringify(value)))).toStrictEqual(value);
  });

  test.for(Object.keys(value))("refuses a value without $0, and $0 of another kind", (field) => {
    const { [field]: _, ...rest } = value;
    expect(isValid(schema, rest)).toBe(field === LATER);
    for (const wrong of [undefined, 1.5, "\0", true, {}, [[]]]) {
      expect(
        !isValid(schema, { ...value, [field]: wrong }) || isFree(field, wrong),
        `${wrong}`,
      ).toBe(true);
    }
  });

  test("drops what it does not know", () => {
    const parsed = v.parse(schema, { ...value, more: "junk", constructor: 1 });
    expect(parsed).toStrictEqual(value);
  });

  test("refuses what is no object", () => {
    for (const other of [null, undefined, 1, "", "{}", [], true])
      expect(isValid(schema, other)).toBe(false);
  });
});

/** What an earlier version stored has none. */
const LATER = "homepage";

/**
 * Text fields take any text, a version is any number, a cut may be without bundles, and a config may
 * say nothing.
 */
function isFree(field: string, wrong: unknown): boolean {
  const texts = [
    "attribute",
    "derivation",
    "name",
    "version",
    "description",
    "mainProgram",
    "program",
    LATER,
  ];
  return (
    (field === LATER && wrong === undefined) ||
    (typeof wrong === "string" && texts.includes(field)) ||
    (field === "config" && JSON.stringify(wrong) === "{}") ||
    ["composeVersion", "coarser"].includes(field)
  );
}

describe("hostile values", () => {
  const rows: readonly [what: string, schema: v.GenericSchema<unknown, unknown>, value: unknown][] =
    [
      ["a digest of another algorithm", digestSchema, `sha512:${hexOf("x")}${hexOf("x")}`],
      ["a digest in capitals", digestSchema, `sha256:${hexOf("x").toUpperCase()}`],
      ["a digest that is a path", digestSchema, `sha256:../${hexOf("x").slice(3)}`],
      ["a store path that leaves the store", storePathSchema, `${storePathOf("x")}/../../etc`],
      ["a file of a store path", storePathSchema, `${storePathOf("x")}/bin`],
      ["a packing id that is a path", packingIdSchema, "../x"],
      ["an empty packing id", packingIdSchema, ""],
      ["a packing id of 193 characters", packingIdSchema, "x".repeat(193)],
      ["a pin that is a branch", pinSchema, "nixos-unstable"],
      ["a short pin", pinSchema, COMMIT.slice(1)],
      ["a pin of a path and more", pinSchema, `path-${hexOf("x")}/..`],
      ["a tag with a slash", tagSchema, "a/b"],
      ["a package name that is a path", packageNameSchema, ".."],
      ["a package name with a slash", packageNameSchema, "a/b"],
      ["a package name of 256 characters", packageNameSchema, "a".repeat(256)],
      ["an empty package name", packageNameSchema, ""],
      ["a negative size", layerRecordSchema, { ...layerOf("x"), sizeBytes: -1 }],
      ["half a byte", layerRecordSchema, { ...layerOf("x"), sizeBytes: 0.5 }],
      ["a size beyond whole numbers", layerRecordSchema, { ...layerOf("x"), sizeBytes: 2 ** 53 }],
      ["a size of text", layerRecordSchema, { ...layerOf("x"), sizeBytes: "1" }],
      ["a form that is none", packageRecordSchema, { ...RECORD, form: "xz" }],
      [
        "a well-known path that is none",
        packageRecordSchema,
        { ...RECORD, provides: ["/etc/passwd"] },
      ],
      [
        "a record that says nothing of locales",
        packageRecordSchema,
        { ...RECORD, locale: undefined },
      ],
      [
        "a link from a place that is not absolute",
        packageRecordSchema,
        { ...RECORD, above: { ...RECORD.above, links: [{ path: "usr/bin", target: "../bin" }] } },
      ],
      [
        "a record of modules that no interpreter has",
        packageRecordSchema,
        { ...RECORD, modules: ["cobol"] },
      ],
      ["a package without outputs", foundPackageSchema, { ...FOUND, outputs: [] }],
      [
        "an image of too many packages",
        foundSchema,
        { ...FOUND_IMAGE, contents: Array.from({ length: 65 }, () => FOUND) },
      ],
      ["an image with another config", foundSchema, { ...FOUND_IMAGE, config: { cmd: [] } }],
      ["a lookup that failed", foundPackageSchema, { kind: "missing", near: [] }],
      ["an attribute without end", foundPackageSchema, { ...FOUND, attribute: "a".repeat(513) }],
      ["a tag without pins", tagPinsSchema, { ...TAG_PINS, pins: [] }],
      [
        "too many pins",
        tagPinsSchema,
        { ...TAG_PINS, pins: Array(MAX_LATEST_PINS + 1).fill(PINNED) },
      ],
      [
        "too many records",
        recordsBodySchema,
        { records: Array(MAX_RECORDS_PER_BODY + 1).fill(RECORD) },
      ],
      [
        "too many lookups",
        lookupsBodySchema,
        { pin: PIN, system: "x86_64-linux", lookups: Array(MAX_LOOKUPS_PER_BODY + 1).fill(LOOKUP) },
      ],
      ["another system", lookupsBodySchema, { pin: PIN, system: "riscv64-linux", lookups: [] }],
      ["another variant", pointersBodySchema, { tag: null, image: { ...POINTER, variant: "x" } }],
      [
        "a recipe without end",
        pointersBodySchema,
        { tag: null, image: { ...POINTER, recipe: "a".repeat(511) } },
      ],
    ];
  test.for(rows)("refuses %s", ([, schema, value]) => expect(isValid(schema, value)).toBe(false));

  test("takes as many as are allowed", () => {
    expect(isValid(tagPinsSchema, { ...TAG_PINS, pins: Array(MAX_LATEST_PINS).fill(PINNED) })).toBe(
      true,
    );
    expect(isValid(recordsBodySchema, { records: Array(MAX_RECORDS_PER_BODY).fill(RECORD) })).toBe(
      true,
    );
    expect(isValid(pointersBodySchema, { tag: null, image: null })).toBe(true);
    expect(isValid(packageNameSchema, "a".repeat(255))).toBe(true);
  });

  test("does not take a prototype for a value", () => {
    const polluted = JSON.parse(`{"__proto__": ${JSON.stringify(layerOf("x"))}}`);
    expect(isValid(layerRecordSchema, polluted)).toBe(false);
  });
});

test("the parsers give nothing where the schemas refuse", () => {
  expect(parsePackageRecord(RECORD)).toStrictEqual(RECORD);
  expect(parsePackageRecord({ ...RECORD, kind: "image" })).toBeUndefined();
  expect(parseFound(FOUND)).toStrictEqual(FOUND);
  expect(parseFound(null)).toBeUndefined();
  expect(parsePin(COMMIT)).toBe(COMMIT);
  expect(parsePin(`path-${hexOf("x")}`)).toBe(`path-${hexOf("x")}`);
  expect(parsePin(`${COMMIT}+0123456789abcdef`)).toBe(`${COMMIT}+0123456789abcdef`);
  expect(parsePin(`${COMMIT}+`)).toBeUndefined();
  expect(parsePin(`${COMMIT}\n`)).toBeUndefined();
  expect(parsePackingId("a/b")).toBeUndefined();
});

test("recordLayers names every layer of a record", () => {
  expect(recordLayers(RECORD).map((layer) => layer.digest)).toStrictEqual([
    bundleOf(["glibc-2.36"], 90).digest,
    bundleOf(["bash-5.2", "readline-8.2"], 1).digest,
    viewOf("bash-5.2").digest,
    layerOf("env").digest,
    layerOf("above").digest,
  ]);
  expect(recordLayers({ ...RECORD, fallback: null, above: null })).toHaveLength(3);
});

describe("parseLookup", () => {
  test("takes refusals with and without the dependency that is refused", () => {
    for (const refusal of [
      { kind: "unfree", licenses: ["a"] },
      { kind: "broken" },
      { kind: "insecure", vulnerabilities: ["CVE-1"], name: "x-1.0" },
      { kind: "unsupported", system: "x86_64-linux" },
    ]) {
      expect(parseLookup(refusal)).toStrictEqual(refusal);
      const needed = { ...refusal, dependency: "x-1.0" };
      expect(parseLookup(needed)).toStrictEqual(needed);
      expect(parseLookup({ ...refusal, dependency: 1 })).toBeUndefined();
    }
  });
});
