// How attributes are written in image names and in recipes.

import { assert, describe, expect, test } from "vitest";
import {
  attributeName,
  exactSpelling,
  isEscaped,
  isSpellingOf,
  readPart,
} from "../../../registry/naming/attribute.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { createRandom, pick } from "../../hostile-text.ts";

const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(index + 32));
/** Of which a random text is likely to look like an escape, or to come near the grammar's edges. */
const CLOSE = [..."-_.0247abfAF"];
const TEXTS = 20_000;

function randomTexts(): readonly string[] {
  const random = createRandom(5);
  return Array.from({ length: TEXTS }, (_, index) => {
    const letters = index % 2 === 0 ? CLOSE : PRINTABLE;
    return Array.from({ length: 1 + random.below(9) }, () => pick(random, letters)).join("");
  });
}

describe("the exact spelling of an attribute", () => {
  test.each([
    ["htop", "htop", "htop"],
    ["7zip-1_2", "7zip-1_2", "7zip-1_2"],
    ["Foo", "0--46oo", "Foo"],
    ["fOO", "f--4f--4f", "fOO"],
    ["python3Packages", "python3--50ackages", "python3Packages"],
    ["gtk+", "gtk--2b", "gtk--2b"],
    ["_foo", "0--5ffoo", "_foo"],
    ["foo_", "foo--5f", "foo_"],
    ["a___b", "a--5f--5f--5fb", "a___b"],
    ["foo'", "foo--27", "foo--27"],
    ["ruamel.yaml", "ruamel--2eyaml", "ruamel--2eyaml"],
    ["@angular/cli", "0--40angular--2fcli", "--40angular--2fcli"],
    ["0F", "0--30--46", "0F"],
    ["a--2b", "a--2d--2d2b", "a--2d-2b"],
    ["foo--bar", "foo--bar", "foo--bar"],
  ])("of %s is %s, and a label says %s", (attribute, name, label) => {
    expect(exactSpelling(attribute)).toBe(name);
    expect(readPart(name)).toBe(attribute);
    expect(attributeName([attribute])).toBe(label);
    expect(isSpellingOf(name, label)).toBe(true);
  });

  test.each([[""], ["é"], ["a\n"], ["日本"], ["\u007f"]])("there is none of %j", (attribute) => {
    expect(exactSpelling(attribute)).toBeNull();
  });

  test(`is a name, and of ${TEXTS} attributes no other's`, () => {
    const attributeOf = new Map<string, string>();
    const labels = new Map<string, string>();
    for (const attribute of randomTexts()) {
      const name = exactSpelling(attribute);
      assert(name !== null);
      expect(parseRepository(name).kind, name).toBe("recipe");
      expect(name.includes("."), name).toBe(false);
      expect(readPart(name), name).toBe(attribute);
      expect(attributeOf.get(name) ?? attribute, name).toBe(attribute);
      attributeOf.set(name, attribute);
      const label = attributeName([attribute]);
      expect(labels.get(label) ?? attribute, label).toBe(attribute);
      labels.set(label, attribute);
      expect(isSpellingOf(name, label), name).toBe(true);
    }
    expect(attributeOf.size).toBeGreaterThan(TEXTS / 2);
  });
});

test("a part without an escape says what it says, also with two hyphens", () => {
  for (const part of ["a--b", "foo--bar", "a---1", "x--8f", "x--7f", "0--g", "a-2b"]) {
    expect(isEscaped(part), part).toBe(false);
    expect(readPart(part)).toBe(part);
  }
});

describe("a name is a spelling of an attribute", () => {
  test.each([
    ["hello", "hello", true],
    ["python3packages.numpy", "python3Packages.numpy", true],
    ["bashInteractive", "bashInteractive", true],
    ["7zz", "_7zz", true],
    ["0--5f7zz", "_7zz", true],
    ["h.0--46oo", "h.Foo", true],
    ["h.0--46oo", "h.foo", false],
    ["foo", "_foo", false],
    ["hello.out", "hello", false],
    ["pkgs.hello", "hello", false],
    ["hello", "pkgs.hello", false],
  ])("%s, %s: %s", (name, attribute, is) => {
    expect(isSpellingOf(name, attribute)).toBe(is);
  });
});
