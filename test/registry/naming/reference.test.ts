// Tags, digests, store paths: the grammars of what has been checked once and is trusted from there.

import { describe, expect, test } from "vitest";
import {
  digestHex,
  digestOf,
  isForeignDigest,
  parseDigest,
} from "../../../registry/naming/digest.ts";
import { parseReference, parseTag } from "../../../registry/naming/reference.ts";
import {
  parseStorePath,
  storePathBase,
  storePathName,
  storePathPackage,
} from "../../../registry/naming/store-path.ts";
import { defined, digestOfText, hexOf } from "../fixture.ts";

const HEX = hexOf("content");

describe("parseTag", () => {
  const tags = ["latest", "_", "a", "A.b-c_d", "nixos-25.11", "v1.2.3", "0", "x".repeat(128)];
  for (const text of tags) test(`takes ${text}`, () => expect(parseTag(text)).toBe(text));

  const refused = ["", ".a", "-a", "a/b", "a:b", "a b", "a+b", "é", "a\n", "a@b", "x".repeat(129)];
  test.for(refused)("refuses %j", (text) => expect(parseTag(text)).toBeUndefined());
});

describe("parseReference", () => {
  const rows: readonly [text: string, kind: string | undefined][] = [
    ["latest", "tag"],
    ["f".repeat(40), "tag"],
    [`sha256-${HEX}`, "tag"],
    [`sha256:${HEX}`, "digest"],
    [`sha512:${HEX}${HEX}`, undefined],
    ["sha256:baddigeststring", undefined],
    [`sha256:${HEX.toUpperCase()}`, undefined],
    [`sha512:${HEX}`, undefined],
    ["a:", undefined],
    [":a", undefined],
    ["", undefined],
  ];
  for (const [text, kind] of rows) {
    test(`reads ${JSON.stringify(text)} as ${kind ?? "nothing"}`, () => {
      expect(parseReference(text)?.kind).toBe(kind);
    });
  }
});

describe("digests", () => {
  const malformed = [
    ...["", "sha256", "sha256:", HEX, `SHA256:${HEX}`, `sha256:${HEX}0`, `sha256:${HEX.slice(1)}`],
    ...[`sha256:${"g".repeat(64)}`, ` sha256:${HEX}`, `sha256:${HEX}\n`, `sha256:${HEX} `],
    ...[`sha256-${HEX}`, `sha256::${HEX}`, `sha256:${HEX.toUpperCase()}`],
  ];
  test.for(malformed)("%j is malformed and not foreign", (text) => {
    expect(parseDigest(text)).toBeUndefined();
    expect(isForeignDigest(text)).toBe(false);
  });

  const foreign: readonly [text: string, isForeign: boolean][] = [
    [`sha512:${HEX}${HEX}`, true],
    [`blake3:${HEX}`, true],
    ["md5:d41d8cd98f00b204e9800998ecf8427e", true],
    ["a.b_c-d+e:AZaz09=_-", true],
    [`sha512:${HEX}`, false],
    [`blake3:${HEX}00`, false],
    [`blake3:${HEX.toUpperCase()}`, false],
    ["a..b:x", false],
    ["+a:x", false],
    ["A:x", false],
    ["a:x/y", false],
    ["a:x y", false],
    [`a:${"x".repeat(510)}`, true],
    [`a:${"x".repeat(511)}`, false],
  ];
  for (const [text, isForeign] of foreign) {
    test(`${text.slice(0, 80)} is ${isForeign ? "" : "not "}a foreign digest`, () => {
      expect(isForeignDigest(text)).toBe(isForeign);
      expect(parseDigest(text)).toBeUndefined();
    });
  }

  test("a digest that can be stored here is not foreign", () => {
    expect(parseDigest(`sha256:${HEX}`)).toBe(`sha256:${HEX}`);
    expect(isForeignDigest(`sha256:${HEX}`)).toBe(false);
  });

  test("a digest gives its hex for keys", () => {
    expect(digestHex(defined(parseDigest(`sha256:${HEX}`), HEX))).toBe(HEX);
  });

  test("digestOf agrees with Node's own hash", async () => {
    for (const text of ["", "content", "ü".repeat(1000)]) {
      expect(await digestOf(new TextEncoder().encode(text))).toBe(digestOfText(text));
    }
  });
});

describe("store paths", () => {
  const hash = "0123456789abcdfghijklmnpqrsvwxyz";
  const names: readonly [name: string, packageName: string][] = [
    ["htop-3.2.2", "htop"],
    ["git-2.39.5", "git"],
    ["openssl-3.0.15-bin", "openssl"],
    ["openssl", "openssl"],
    ["nss-cacert-3.98", "nss-cacert"],
    ["iana-etc-20240318", "iana-etc"],
    ["python3.11-numpy-1.26.4", "python3.11-numpy"],
    ["ncurses-6.4-dev", "ncurses"],
    ["gcc-12-lib", "gcc"],
    ["-1.0", "-1.0"],
    ["bash-interactive-5.2p37", "bash-interactive"],
    ["x-unstable-2024-01-01", "x-unstable"],
    ["a+b_c?d=e.f", "a+b_c?d=e.f"],
  ];
  test.for(names)("%s is of the package %s", ([name, packageName]) => {
    const path = defined(parseStorePath(`/nix/store/${hash}-${name}`), name);
    expect(storePathName(path)).toBe(name);
    expect(storePathBase(path)).toBe(`${hash}-${name}`);
    expect(storePathPackage(path)).toBe(packageName);
  });

  const refused = [
    ...["", "/nix/store", `/nix/store/${hash}`, `/nix/store/${hash}-`, `${hash}-a`],
    ...[`/nix/store/${hash}-a/bin`, `/nix/store/${hash}-a/..`, `/nix/store/${hash}-a\n`],
    ...[`/nix/store/${hash.replace("z", "e")}-a`, `/nix/store/${hash.slice(1)}-a`],
    ...[`/nix/store/${hash}-a b`, `/nix/store/${hash}-ä`, `/nix/store/../${hash}-a`],
    ...[`/nix/store/${hash}-${"a".repeat(212)}`, `/gnu/store/${hash}-a`, `nix/store/${hash}-a`],
  ];
  for (const text of refused) {
    test(`${JSON.stringify(text.slice(0, 80))} is no store path`, () => {
      expect(parseStorePath(text)).toBeUndefined();
    });
  }
});
