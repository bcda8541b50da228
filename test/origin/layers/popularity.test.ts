import { assert, describe, expect, test } from "vitest";
import {
  type CountKind,
  formatPopularity,
  MAX_POPULARITY_SIZE_BYTES,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "../../../origin/layers/popularity.ts";
import { digestOf } from "../../../registry/naming/digest.ts";
import { bytesOf } from "../../contract/blob-store.ts";
import { defined } from "../../registry/fixture.ts";
import { storePath } from "./fixture.ts";

function parse(text: string, counts?: CountKind) {
  const result = parsePopularity(text, counts);
  assert(result.kind === "popularity", "not read");
  return result.popularity;
}

describe("parsePopularity", () => {
  test("matches names without version and takes the largest count of a package", () => {
    const data = parse('{"openssl-1.1.1":20,"openssl-3.0.2":70,"openssl-3.0.2-bin":50,"zlib":5}');
    expect(data.count(storePath("openssl-3.5.0"))).toBe(70);
    expect(data.count(storePath("openssl-3.5.0-dev"))).toBe(70);
    expect(data.count(storePath("zlib-1.3"))).toBe(5);
  });

  test("counts a package nobody knows as needed once", () => {
    expect(parse('{"zlib":5}').count(storePath("mine-1.0"))).toBe(1);
    expect(NO_POPULARITY.count(storePath("zlib-1.3"))).toBe(1);
  });

  test("counts what is in every image as most popular, with data or without", () => {
    for (const name of ["nss-cacert-3.98", "cacert-2025", "iana-etc-20240318"]) {
      expect(NO_POPULARITY.count(storePath(name))).toBe(1_000_000_000);
      expect(parse(`{"${name}":1}`).count(storePath(name))).toBe(1_000_000_000);
    }
  });

  test("expects as many sharers as the kind of counts says, within bounds", () => {
    const counts = '{"glibc":300000,"zlib":1200,"rare":40}';
    const sharersOf = (data: ReturnType<typeof parse>) =>
      ["glibc-2.40", "zlib-1.3", "rare-1", "unknown-1", "iana-etc-2025"].map((name) =>
        data.sharers(storePath(name)),
      );
    expect(sharersOf(parse(counts))).toStrictEqual([8, 3, 0.25, 0.25, 8]);
    const closures = parse('{"glibc":56,"zlib":3,"rare":1}', "closures");
    expect(sharersOf(closures)).toStrictEqual([5, 3 / 1.2, 1 / 1.2, 1 / 1.2, 5]);
    expect(sharersOf(NO_POPULARITY)).toStrictEqual([4, 4, 4, 4, 4]);
  });

  test("believes data that say what they count, whatever the reader expects", () => {
    const counts = new Map([
      ["zlib", 3],
      ["glibc", 56],
    ]);
    const references = formatPopularity({ kind: "references", counted: 833 * 2, counts });
    const closures = formatPopularity({ kind: "closures", counted: 60 * 9, counts });
    for (const expected of ["references", "closures"] as const) {
      const zlib = storePath("zlib-1.3");
      expect(parse(references, expected).sharers(zlib)).toBe(1.5);
      expect(parse(closures, expected).sharers(zlib)).toBe(1);
      expect(
        parse(formatPopularity({ kind: "closures", counted: 20, counts }), expected).sharers(zlib),
      ).toBe(3 / 1.2);
    }
    expect(Object.keys(JSON.parse(closures)).join()).toBe("closures of,glibc,zlib");
  });

  test("says when data were counted, and that there were none", () => {
    const none = formatPopularity(null, 1_795_000_000_999);
    expect(JSON.parse(none)).toStrictEqual({ "counted at": 1_795_000_000 });
    const read = parsePopularity(none);
    assert(read.kind === "popularity");
    expect(read.popularity).toBe(NO_POPULARITY);
    expect(read.countedAtMs).toBe(1_795_000_000_000);
    const data = { kind: "derivations", counted: 3, counts: new Map([["glibc", 3]]) } as const;
    expect(parse(formatPopularity(data, 5000)).id).toBe(parse(formatPopularity(data)).id);
  });

  test("tells data in which nothing is shared from no data", () => {
    const data = parse(formatPopularity({ kind: "closures", counted: 2, counts: new Map() }));
    expect(data.id).not.toBe("none");
    expect(data.sharers(storePath("zlib-1.3"))).toBe(1 / 1.2);
  });

  test("expects no sharers of those that hold the package anyway, where counts are of closures", () => {
    const counts = new Map(Object.entries({ glibc: 9, krb5: 4, gssapi: 4, tool: 1 }));
    const sharersBeside = (kind: CountKind) => {
      const data = parse(formatPopularity({ kind, counted: 60, counts }));
      return ["gssapi", "tool"].map((name) =>
        data.sharers(storePath("krb5-1.20"), storePath(`${name}-1`)),
      );
    };
    expect(sharersBeside("closures")).toStrictEqual([0.25, 3 / 1.2]);
    expect(sharersBeside("derivations")).toStrictEqual([4 / 1.2, 4 / 1.2]);
  });

  test("takes a package for alone when the data know of nobody else that needs it", () => {
    const data = parse('{"git":1,"perl":2,"nss-cacert":0}', "closures");
    const alone = (popularity: Popularity, name: string) => popularity.isAlone(storePath(name));
    expect(
      ["git-2", "perl-5", "unknown-1", "nss-cacert-3"].map((name) => alone(data, name)),
    ).toStrictEqual([true, false, true, true]);
    expect(["git-2", "iana-etc-6"].map((name) => alone(NO_POPULARITY, name))).toStrictEqual([
      false,
      true,
    ]);
  });

  test("tells data of any kind in a text whose digest is their id, and reads it again", async () => {
    const counts = new Map([
      ["zlib", 3],
      ["7zip", 9],
      ["12", 4],
    ]);
    const files: readonly [text: string, kind?: CountKind][] = [
      ['{"glibc-2.40":300000,"12":4,"zlib":1200}'],
      ['{"glibc":56,"zlib":3}', "closures"],
      [formatPopularity({ kind: "derivations", counted: 77, counts }, 1000)],
      [formatPopularity({ kind: "references", counted: 12_345, counts })],
    ];
    for (const [text, kind] of files) {
      const data = parse(text, kind);
      const told = defined(data.text ?? undefined, text);
      expect(await digestOf(bytesOf(told))).toBe(`sha256:${data.id}`);
      const read = parse(told);
      expect([read.id, read.text]).toStrictEqual([data.id, told]);
      for (const name of ["zlib-1", "glibc-2", "7zip-3", "12-1", "unknown-1"]) {
        const path = storePath(name);
        expect(read.count(path), name).toBe(data.count(path));
        expect(read.sharers(path, storePath("zlib-1"))).toBe(
          data.sharers(path, storePath("zlib-1")),
        );
      }
    }
    expect(NO_POPULARITY.text).toBeNull();
  });

  test("names the data by what it says, not by how it is written", () => {
    const { id } = parse('{"a-1":7,"b":2}');
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(parse('{ "b-9.1": 2, "a": 7, "a-0": 3 }').id).toBe(id);
    expect(parse('{"a":7,"b":3}').id).not.toBe(id);
    expect(parse('{"a":7,"b":2}', "closures").id).not.toBe(id);
    expect(parse("{}").id).toBe("none");
    expect(NO_POPULARITY.id).toBe("none");
  });

  test("ignores names that no store path can have", () => {
    expect(parse('{"":1,"a b":2,"a/b":3}').id).toBe("none");
  });

  const invalid = ["", "[1]", "3", "null", '{"a":"1"}', '{"a":-1}', '{"a":1.5}', '{"a":1e300}'];
  for (const text of invalid) {
    test(`says what is wrong with ${text === "" ? "nothing" : text}`, () => {
      const result = parsePopularity(text);
      assert(result.kind === "invalid");
      expect(result.reason).toMatch(/^is no JSON/);
    });
  }

  test("refuses a text beyond the limit before reading it", () => {
    const result = parsePopularity(" ".repeat(MAX_POPULARITY_SIZE_BYTES + 1));
    expect(result).toStrictEqual({ kind: "invalid", reason: "is larger than 33554432 bytes" });
  });
});
