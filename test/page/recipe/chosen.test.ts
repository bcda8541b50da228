import { assert, describe, expect, test } from "vitest";
import {
  NOTHING,
  problemOf,
  queryOf,
  readName,
  readQuery,
  repositoryOf,
  withName,
} from "../../../page/recipe/chosen.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";
import { tagOf } from "../../registry/fixture.ts";

function chosenOf(text: string) {
  const read = readName(text);
  assert(read.kind === "chosen", text);
  return read.chosen;
}

describe("readName", () => {
  const names: readonly [name: string, repository: string][] = [
    ["git", "git"],
    ["htop/git/htop", "htop/git"],
    ["fhs/shell/git", "shell/fhs/git"],
    ["nonroot/arm64/unix/git", "arm64/unix/nonroot/git"],
    ["python3packages.numpy", "python3packages.numpy"],
    ["shell", "shell"],
  ];
  test.for(names)("has of %s the name %s, which means the same", ([name, repository]) => {
    expect(repositoryOf(chosenOf(name))).toBe(repository);
    expect(parseRepository(repository)).toStrictEqual(parseRepository(name));
  });

  test.for(["", "Git", "git/", "git:", "git:a:b", "amd64/arm64/git", "git/shell", "<b>"])(
    "says why there is no image %j",
    (name) => {
      const read = readName(name);
      assert(read.kind === "invalid");
      expect(read.reason.length).toBeGreaterThan(10);
    },
  );
});

test("an address holds what was chosen", () => {
  for (const name of ["shell/git", "arm64/unix/git/htop:nixos-25.11", "fhs/nonroot"]) {
    const chosen = chosenOf(name);
    const read = readQuery(new URLSearchParams(queryOf(chosen)));
    expect(read).toStrictEqual({ kind: "chosen", chosen });
  }
  expect(readQuery(new URLSearchParams(""))).toBeUndefined();
});

test("the fields of a form are read as a name is", () => {
  const query = "packages=git%20htop,jq&word=shell&word=evil&platform=arm64&tag=x";
  const read = readQuery(new URLSearchParams(query));
  const expected = { words: ["shell"], architecture: "arm64", packages: ["git", "htop", "jq"] };
  expect(read).toStrictEqual({ kind: "chosen", chosen: { ...expected, tag: tagOf("x") } });
  expect(readQuery(new URLSearchParams("packages=Git"))?.kind).toBe("invalid");
});

test("withName keeps what is there", () => {
  const chosen = withName({ ...NOTHING, tag: tagOf("a") }, chosenOf("arm64/fhs/git/jq"));
  expect(repositoryOf(withName(chosen, chosenOf("jq/htop")))).toBe("arm64/shell/fhs/git/jq/htop");
  expect(withName(chosen, chosenOf("git:b")).tag).toBe("b");
  expect(chosen.tag).toBe("a");
});

test("problemOf says what is too much", () => {
  expect(problemOf(NOTHING)).toBeUndefined();
  const many = Array.from({ length: 70 }, (_, at) => `p${at}`);
  expect(problemOf({ ...NOTHING, packages: many })).toMatch(/^the name (?:has|asks for) \d+/);
});

test("no hostile text becomes a name that the registry would not take", () => {
  const random = createRandom(7);
  for (let run = 0; run < 3000; run += 1) {
    const read = readName(hostileText(random));
    if (read.kind === "invalid") continue;
    const repository = repositoryOf(read.chosen);
    expect(parseRepository(repository).kind, repository).toBe("recipe");
    expect(queryOf(read.chosen)).toMatch(/^\?image=[\w./:-]+$/);
  }
});
