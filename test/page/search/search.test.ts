import { describe, expect, test } from "vitest";
import { makeCorpus } from "../../../page/search/corpus.ts";
import { search } from "../../../page/search/search.ts";
import { encodeNames, readNames } from "../../../registry/package-index/names.ts";
import { encodeTexts, type PackageText, readTexts } from "../../../registry/package-index/texts.ts";
import { madeUpPackages } from "./made-up-packages.ts";

function corpusOf(texts: readonly PackageText[], more: readonly string[] = []) {
  const attributes = texts.flatMap(({ attribute, others }) => [attribute, ...others]);
  const names = readNames(encodeNames([...attributes, ...more])) ?? "";
  return makeCorpus(names, readTexts(encodeTexts(texts)) ?? "");
}

const text = (
  attribute: string,
  description: string | null = null,
  program: string | null = null,
  others: readonly string[] = [],
): PackageText => ({ attribute, description, program, others });

const SMALL = corpusOf(
  [
    text("git", "Distributed version control system", "git", ["gitMinimal"]),
    text("gitea", "Git with a cup of tea", "gitea"),
    text("digit", "Counts"),
    text("lazygit", "Simple terminal UI for git commands", "lazygit"),
    text("git-lfs", "Git extension for versioning large files", "git-lfs"),
    text("libgit2", "Linkable library implementation of Git"),
    text("ripgrep", "A faster grep", "rg"),
    text("rgxg", "ReGular eXpression Generator", "rgxg"),
    text("hub", "Wrapper around git", "hub"),
    text("tig", "Text-mode interface for legitimate use", "tig"),
    text("gtk+", "A toolkit"),
    text("Foo", "Upper"),
    text("foo", "Lower"),
    text("python3Packages.gitpython", "Python library"),
    text("python3Packages.numpy", "Scientific tools"),
    text("_7zz", "Archiver", "7zz"),
  ],
  ["unfreeThing"],
);

const namesOf = (query: string, limit = 20) =>
  search(SMALL, query, limit).packages.map(({ name }) => name);

describe("search", () => {
  test("puts exact names and programs first, then beginnings, names, and descriptions", () => {
    expect(namesOf("git")).toStrictEqual([
      "git",
      "gitea",
      "git-lfs",
      "python3packages.gitpython",
      "digit",
      "lazygit",
      "libgit2",
      "hub",
      "tig",
    ]);
    expect(namesOf("rg")[0]).toBe("ripgrep");
    expect(namesOf("gitminimal")).toStrictEqual(["git"]);
  });

  test("wants every word, wherever it stands", () => {
    expect(namesOf("terminal git")).toStrictEqual(["lazygit"]);
    expect(namesOf("git python")).toStrictEqual(["python3packages.gitpython"]);
    expect(namesOf("git nowhere")).toStrictEqual([]);
  });

  test("names packages as an image does", () => {
    expect(namesOf("numpy")).toStrictEqual(["python3packages.numpy"]);
    expect(namesOf("gtk+")).toStrictEqual(["gtk--2b"]);
    expect(namesOf("foo")).toStrictEqual(["0--46oo", "foo"]);
    expect(namesOf("7zz")).toStrictEqual(["7zz"]);
  });

  test("tells how many there are besides those that it gives", () => {
    const { packages, count } = search(SMALL, "git", 2);
    expect([packages.map(({ name }) => name), count]).toStrictEqual([["git", "gitea"], 9]);
  });

  test("finds nothing for nothing, and takes no sign for a pattern", () => {
    for (const query of ["", "  \t", ".*", "[", "\\", "%", "\0", "x".repeat(1e6)]) {
      expect(namesOf(query), query.slice(0, 9)).toStrictEqual([]);
    }
  });

  test("finds in 100,000 packages before anybody waits, whatever is typed", () => {
    const corpus = corpusOf(madeUpPackages(100_000));
    expect(corpus.count).toBe(100_000);
    for (const query of [
      "a",
      "py",
      "libs",
      "terminal tool",
      "zzzz",
      "a b c d",
      "python3packages.",
    ]) {
      const ms = fastest(() => search(corpus, query, 50));
      process.stdout.write(`${JSON.stringify(query)}: ${ms.toFixed(1)} ms
`);
      expect(ms, query).toBeLessThan(100);
    }
  });
});

/** Milliseconds of the processor, to which others that use it as well add nothing. */
function fastest(run: () => unknown): number {
  const times = Array.from({ length: 5 }, () => {
    const started = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(started);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}
