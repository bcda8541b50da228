import assert from "node:assert/strict";
import { describe, test } from "node:test";
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
  assert.ok(result.kind === "popularity", "not read");
  return result.popularity;
}

describe("parsePopularity", () => {
  test("matches names without version and takes the largest count of a package", () => {
    const data = parse('{"openssl-1.1.1":20,"openssl-3.0.2":70,"openssl-3.0.2-bin":50,"zlib":5}');
    assert.equal(data.count(storePath("openssl-3.5.0")), 70);
    assert.equal(data.count(storePath("openssl-3.5.0-dev")), 70);
    assert.equal(data.count(storePath("zlib-1.3")), 5);
  });

  test("counts a package nobody knows as needed once", () => {
    assert.equal(parse('{"zlib":5}').count(storePath("mine-1.0")), 1);
    assert.equal(NO_POPULARITY.count(storePath("zlib-1.3")), 1);
  });

  test("counts what is in every image as most popular, with data or without", () => {
    for (const name of ["nss-cacert-3.98", "cacert-2025", "iana-etc-20240318"]) {
      assert.equal(NO_POPULARITY.count(storePath(name)), 1_000_000_000);
      assert.equal(parse(`{"${name}":1}`).count(storePath(name)), 1_000_000_000);
    }
  });

  test("expects as many sharers as the kind of counts says, within bounds", () => {
    const counts = '{"glibc":300000,"zlib":1200,"rare":40}';
    const sharersOf = (data: ReturnType<typeof parse>) =>
      ["glibc-2.40", "zlib-1.3", "rare-1", "unknown-1", "iana-etc-2025"].map((name) =>
        data.sharers(storePath(name)),
      );
    assert.deepEqual(sharersOf(parse(counts)), [8, 3, 0.25, 0.25, 8]);
    const closures = parse('{"glibc":56,"zlib":3,"rare":1}', "closures");
    assert.deepEqual(sharersOf(closures), [5, 3 / 1.2, 1 / 1.2, 1 / 1.2, 5]);
    assert.deepEqual(sharersOf(NO_POPULARITY), [4, 4, 4, 4, 4]);
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
      assert.equal(parse(references, expected).sharers(zlib), 1.5);
      assert.equal(parse(closures, expected).sharers(zlib), 1);
      assert.equal(
        parse(formatPopularity({ kind: "closures", counted: 20, counts }), expected).sharers(zlib),
        3 / 1.2,
      );
    }
    assert.equal(Object.keys(JSON.parse(closures)).join(), "closures of,glibc,zlib");
  });

  test("says when data were counted, and that there were none", () => {
    const none = formatPopularity(null, 1_795_000_000_999);
    assert.deepEqual(JSON.parse(none), { "counted at": 1_795_000_000 });
    const read = parsePopularity(none);
    assert.ok(read.kind === "popularity");
    assert.equal(read.popularity, NO_POPULARITY);
    assert.equal(read.countedAtMs, 1_795_000_000_000);
    const data = { kind: "derivations", counted: 3, counts: new Map([["glibc", 3]]) } as const;
    assert.equal(parse(formatPopularity(data, 5000)).id, parse(formatPopularity(data)).id);
  });

  test("tells data in which nothing is shared from no data", () => {
    const data = parse(formatPopularity({ kind: "closures", counted: 2, counts: new Map() }));
    assert.notEqual(data.id, "none");
    assert.equal(data.sharers(storePath("zlib-1.3")), 1 / 1.2);
  });

  test("expects no sharers of those that hold the package anyway, where counts are of closures", () => {
    const counts = new Map(Object.entries({ glibc: 9, krb5: 4, gssapi: 4, tool: 1 }));
    const sharersBeside = (kind: CountKind) => {
      const data = parse(formatPopularity({ kind, counted: 60, counts }));
      return ["gssapi", "tool"].map((name) =>
        data.sharers(storePath("krb5-1.20"), storePath(`${name}-1`)),
      );
    };
    assert.deepEqual(sharersBeside("closures"), [0.25, 3 / 1.2]);
    assert.deepEqual(sharersBeside("derivations"), [4 / 1.2, 4 / 1.2]);
  });

  test("takes a package for alone when the data know of nobody else that needs it", () => {
    const data = parse('{"git":1,"perl":2,"nss-cacert":0}', "closures");
    const alone = (popularity: Popularity, name: string) => popularity.isAlone(storePath(name));
    assert.deepEqual(
      ["git-2", "perl-5", "unknown-1", "nss-cacert-3"].map((name) => alone(data, name)),
      [true, false, true, true],
    );
    assert.deepEqual(
      ["git-2", "iana-etc-6"].map((name) => alone(NO_POPULARITY, name)),
      [false, true],
    );
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
      assert.equal(await digestOf(bytesOf(told)), `sha256:${data.id}`);
      const read = parse(told);
      assert.deepEqual([read.id, read.text], [data.id, told]);
      for (const name of ["zlib-1", "glibc-2", "7zip-3", "12-1", "unknown-1"]) {
        const path = storePath(name);
        assert.equal(read.count(path), data.count(path), name);
        assert.equal(
          read.sharers(path, storePath("zlib-1")),
          data.sharers(path, storePath("zlib-1")),
        );
      }
    }
    assert.equal(NO_POPULARITY.text, null);
  });

  test("names the data by what it says, not by how it is written", () => {
    const { id } = parse('{"a-1":7,"b":2}');
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.equal(parse('{ "b-9.1": 2, "a": 7, "a-0": 3 }').id, id);
    assert.notEqual(parse('{"a":7,"b":3}').id, id);
    assert.notEqual(parse('{"a":7,"b":2}', "closures").id, id);
    assert.equal(parse("{}").id, "none");
    assert.equal(NO_POPULARITY.id, "none");
  });

  test("ignores names that no store path can have", () => {
    assert.equal(parse('{"":1,"a b":2,"a/b":3}').id, "none");
  });

  const invalid = ["", "[1]", "3", "null", '{"a":"1"}', '{"a":-1}', '{"a":1.5}', '{"a":1e300}'];
  for (const text of invalid) {
    test(`says what is wrong with ${text === "" ? "nothing" : text}`, () => {
      const result = parsePopularity(text);
      assert.ok(result.kind === "invalid");
      assert.match(result.reason, /^is no JSON/);
    });
  }

  test("refuses a text beyond the limit before reading it", () => {
    const result = parsePopularity(" ".repeat(MAX_POPULARITY_SIZE_BYTES + 1));
    assert.deepEqual(result, { kind: "invalid", reason: "is larger than 33554432 bytes" });
  });
});
