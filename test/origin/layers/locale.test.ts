// What an image may promise of C.UTF-8 and of time zones, by the C library in it.

import { assert, describe, expect, test } from "vitest";
import { readPartView } from "../../../origin/layers/part-view.ts";
import { plant, storePath, type Tree, temporaryDirectory } from "./fixture.ts";

const dir = (holds: Record<string, Tree>): Tree => ({ holds });
const LOCALE = dir({ LC_CTYPE: "utf8" });
/** As they have it compiled in. */
const DEBIAN_LIBC = "\0/usr/share/zoneinfo\0";
const NIXPKGS_LIBC = "\0/nix/store/x-glibc/share/zoneinfo\0";
const lib = (holds: Record<string, Tree>): Tree => dir({ lib: dir(holds) });

const ZONES = dir({ share: dir({ zoneinfo: dir({ UTC: "zone" }) }) });
const NOTHING = { hasUtf8: false, hasZones: false, looksElsewhereForZones: false };
const ELSEWHERE = { ...NOTHING, looksElsewhereForZones: true };

interface Row {
  readonly what: string;
  readonly outputs: Readonly<Record<string, Tree>>;
  readonly needs?: Readonly<Record<string, Tree>>;
  readonly expected: typeof NOTHING;
}

const ROWS: readonly Row[] = [
  { what: "no C library", outputs: { tool: dir({ bin: dir({}) }) }, expected: NOTHING },
  {
    what: "nixpkgs' glibc, with its own locale",
    outputs: { tool: dir({}) },
    needs: { glibc: lib({ "libc.so.6": NIXPKGS_LIBC, locale: dir({ "C.utf8": LOCALE }) }) },
    expected: { ...ELSEWHERE, hasUtf8: true },
  },
  {
    what: "a glibc with an archive of that locale",
    outputs: { tool: dir({}) },
    needs: {
      glibc: lib({ "libc.so.6": DEBIAN_LIBC, locale: dir({ "locale-archive": "\0C.utf8\0" }) }),
    },
    expected: { ...NOTHING, hasUtf8: true },
  },
  {
    what: "a glibc with an archive of other locales",
    outputs: { tool: dir({}) },
    needs: {
      glibc: lib({ "libc.so.6": DEBIAN_LIBC, locale: dir({ "locale-archive": "de_DE.utf8" }) }),
    },
    expected: NOTHING,
  },
  {
    what: "an older glibc of nixpkgs, without a locale",
    outputs: { tool: dir({}) },
    needs: { glibc: lib({ "libc.so.6": NIXPKGS_LIBC }) },
    expected: ELSEWHERE,
  },
  {
    what: "Debian's glibc, whose locales are not named",
    outputs: { tool: dir({}) },
    needs: {
      glibc: lib({ "libc.so.6": DEBIAN_LIBC }),
      locales: dir({ usr: lib({ locale: dir({ "C.utf8": LOCALE }) }) }),
    },
    expected: NOTHING,
  },
  {
    what: "Debian's locales, named",
    outputs: { locales: dir({ usr: lib({ locale: dir({ "C.utf8": LOCALE }) }) }) },
    expected: { ...NOTHING, hasUtf8: true },
  },
  {
    what: "time zones that are named",
    outputs: { tzdata: ZONES },
    expected: { ...NOTHING, hasZones: true },
  },
  {
    what: "time zones that are only needed",
    outputs: { tool: dir({}) },
    needs: { tzdata: ZONES },
    expected: NOTHING,
  },
  {
    what: "several outputs, together",
    outputs: { tzdata: ZONES, glibc: lib({ "libc.so.6": NIXPKGS_LIBC }) },
    expected: { ...ELSEWHERE, hasZones: true },
  },
];

describe("what programs find of the locale and of time zones", () => {
  test.for(ROWS)("with $what", ({ outputs, needs = {}, expected }) => {
    const store = temporaryDirectory();
    const plantAll = (trees: Readonly<Record<string, Tree>>) =>
      Object.entries(trees).map(([name, tree]) => plant(store, storePath(name), tree));
    const part = { kind: "package", outputs: plantAll(outputs) } as const;
    const result = readPartView(part, [...part.outputs, ...plantAll(needs)], store);
    assert(result.kind === "view");
    expect(result.view.locale).toStrictEqual(expected);
  });
});
