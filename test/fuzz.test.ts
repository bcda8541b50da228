// A hundred thousand hostile paths: each is refused with an error of the registry's own, or read as
// exactly what the documented grammars allow, under keys that stay where they belong.

import { join, resolve } from "node:path";
import { assert, describe, expect, test } from "vitest";
import { MAX_SLOTS } from "../origin/images/asked-names.ts";
import { type StorageKey, storageKey } from "../origin/storage/keys.ts";
import { RegistryError } from "../registry/http/error.ts";
import { parseIngestRoute, parseRoute, type Route } from "../registry/http/route.ts";
import {
  canonicalRecipe,
  type NamedRecipe,
  parseRepository,
  type Recipe,
  systemOf,
} from "../registry/naming/recipe.ts";
import { parseReference } from "../registry/naming/reference.ts";
import { createRandom, hostileText, pick, plainWord, type Random } from "./hostile-text.ts";
import { pinOf } from "./registry/fixture.ts";

const PATHS = 100_000;
const SEED = 20_261_121;
const ROOT = "/srv/nixport/origin";
const PINS = [pinOf("a".repeat(40)), pinOf(`path-${"b".repeat(64)}+0123456789abcdef`)];

/** As the distribution specification and the README have them, not as the parsers do. */
const COMPONENT = "[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*";
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

function hostilePath(random: Random): string {
  const word = () => (random.below(4) === 0 ? hostileText(random) : plainWord(random));
  const name = Array.from({ length: 1 + random.below(4) }, word).join("/");
  const last = pick(random, [
    "latest",
    plainWord(random),
    hostileText(random),
    `sha256:${"a1".repeat(32)}`,
  ]);
  const resource = pick(random, [
    "manifests",
    "manifests",
    "manifests",
    "blobs",
    "tags",
    "referrers",
    word(),
  ]);
  const path = pick(random, [
    ...Array.from({ length: 6 }, () => `/v2/${name}/${resource}/${last}`),
    `/v2/${hostileText(random)}/manifests/${last}`,
    `/${hostileText(random)}`,
    `/v2/${name}/tags/list`,
  ]);
  // A client may encode anything, or nothing.
  return random.below(3) === 0 ? `/${encodedSomehow(random, path.slice(1))}` : path;
}

function encodedSomehow(random: Random, path: string): string {
  return [...path]
    .map((letter) => (random.below(5) === 0 ? encodeURIComponent(letter.toWellFormed()) : letter))
    .join("");
}

function routeOf(path: string): Route | RegistryError {
  try {
    return parseRoute("GET", new URL(`http://registry.example${path}`));
  } catch (error) {
    assert(error instanceof RegistryError, `${JSON.stringify(path)} throws ${String(error)}`);
    expect(
      error.status >= 400 && error.status < 500,
      `${JSON.stringify(path)}: ${error.code}`,
    ).toBe(true);
    expect(error.message.length, error.message).toBeLessThan(1000);
    return error;
  }
}

function forPlatform({ architecture, ...recipe }: NamedRecipe): Recipe {
  return { architecture: architecture ?? "amd64", ...recipe };
}

describe(`${PATHS} paths`, { timeout: 120_000 }, () => {
  const random = createRandom(SEED);
  const routes = Array.from({ length: PATHS }, () => {
    const path = hostilePath(random);
    return { path, route: routeOf(path) };
  });
  const manifests = routes.flatMap(({ route }) =>
    !(route instanceof RegistryError) && route.kind === "manifest" ? [route] : [],
  );

  test("are refused with an error of the registry's own, or read", () => {
    const refused = routes.filter(({ route }) => route instanceof RegistryError).length;
    // Otherwise the rest of this file tests nothing.
    expect(
      refused > PATHS / 4 && manifests.length > PATHS / 10,
      `${refused}, ${manifests.length}`,
    ).toBe(true);
  });

  test("are read as names and references within the grammar only", () => {
    const isWithin = ({
      repository,
      recipe: { packages },
      reference,
    }: (typeof manifests)[number]) =>
      NAME.test(repository) &&
      repository.length <= 255 &&
      packages.join() === [...new Set(packages)].sort().join() &&
      packages.length <= 64 &&
      packages.some((name) => name === "cacert") &&
      (reference.kind !== "tag" || TAG.test(reference.tag)) &&
      (reference.kind !== "digest" || DIGEST.test(reference.digest));
    expect(manifests.filter((route) => !isWithin(route))).toStrictEqual([]);
  });

  test("are read as they are written again", () => {
    for (const route of manifests) {
      const { repository, recipe, reference } = route;
      const last = reference.kind === "tag" ? reference.tag : reference.digest;
      expect(routeOf(`/v2/${repository}/manifests/${last}`)).toStrictEqual(route);
      expect(parseReference(last)).toStrictEqual(reference);
      // The spelling of a shell is no name, and what is added may make it too long to be one.
      const canonical = canonicalRecipe(forPlatform(recipe));
      if (!NAME.test(canonical) || canonical.length > 255) continue;
      const parsed = parseRepository(canonical);
      assert(parsed.kind === "recipe");
      expect(forPlatform(parsed.recipe)).toStrictEqual(forPlatform(recipe));
    }
  });

  test("lead to keys that never leave the storage", () => {
    const checked = new Set<string>();
    const outside: string[] = [];
    for (const { recipe: named, reference } of manifests) {
      const recipe = forPlatform(named);
      const canonical = canonicalRecipe(recipe);
      const system = systemOf(recipe.architecture);
      const keys: string[] = [];
      for (const name of recipe.packages) {
        if (checked.has(name)) continue;
        checked.add(name);
        for (const pin of PINS) {
          keys.push(storageKey.lookup(pin, system, name));
          keys.push(storageKey.asked(pin, system, name, MAX_SLOTS));
        }
      }
      if (reference.kind === "digest") {
        const { digest } = reference;
        keys.push(storageKey.layer(digest), storageKey.manifest(digest), storageKey.making(digest));
      } else if (reference.kind === "tag") {
        const { tag } = reference;
        keys.push(storageKey.pin("source", tag), storageKey.outbox(canonical, tag, "oci-zstd"));
      }
      outside.push(...keys.filter((key) => !isInside(key)));
    }
    expect(outside).toStrictEqual([]);
    expect(checked.size).toBeGreaterThan(1000);
  });

  test("of ingest are refused with an error of the registry's own, or read", () => {
    for (const { path } of routes.slice(0, PATHS / 10)) {
      const url = new URL(`http://edge.example/ingest${path.replace(/^\/v2/, "")}`);
      for (const method of ["PUT", "POST", "GET"]) {
        try {
          parseIngestRoute(method, url);
        } catch (error) {
          assert(error instanceof RegistryError, `${JSON.stringify(path)} throws ${String(error)}`);
        }
      }
    }
  });
});

function isInside(key: string | StorageKey): boolean {
  return (
    resolve(ROOT, key).startsWith(`${ROOT}/`) &&
    join(ROOT, key) === `${ROOT}/${key}` &&
    /^[\x21-\x7e]{1,512}$/.test(key) &&
    key.split("/").every((part) => !["", ".", ".."].includes(part) && part.length <= 255)
  );
}

test("a hundred thousand hostile names and tags are refused or within the grammar", () => {
  const random = createRandom(SEED + 1);
  const texts = Array.from({ length: PATHS }, () => hostileText(random));
  const isReadRightly = (text: string) =>
    (parseRepository(text).kind === "recipe") === isName(text) &&
    (parseReference(text)?.kind === "tag") === TAG.test(text) &&
    (parseReference(text)?.kind === "digest") === DIGEST.test(text);
  expect(texts.filter((text) => !isReadRightly(text))).toStrictEqual([]);
});

/** Those that hostile names are made of: of two platforms there is no name. */
const FRONT_WORDS = ["shell", "arm64", "fhs", "unix", "nonroot"];

function isName(text: string): boolean {
  // Front words stand in front only, and a name of those alone is one.
  const isWord = (part: string) => FRONT_WORDS.includes(part);
  const parts = text.split("/").filter((_, index, all) => {
    const leading = all.findIndex((part) => !isWord(part));
    return leading === -1 || index >= leading;
  });
  const isMisplaced = parts.some(isWord);
  const onlyMeta = text.split("/").every(isWord);
  return (
    NAME.test(text) &&
    text.length <= 255 &&
    (onlyMeta || !isMisplaced) &&
    parts.length <= 62 &&
    text.split("/").every(isWithinParts)
  );
}

/** At most 16 names of sets and packages, in which only what needs it is escaped. */
function isWithinParts(component: string): boolean {
  const parts = component.split(".");
  return parts.length <= 16 && parts.every(isEscapedRightly);
}

/** Worked out letter by letter, without the product's expressions. */
function isEscapedRightly(part: string): boolean {
  const [said, spans] = unescaped(part);
  if (spans.length === 0) return true;
  const isPadded = spans[0] === 1;
  return said.every(({ letter, wasEscaped }, index) => {
    const before = said[index - 1];
    const after = said[index + 1];
    if (/[a-z0-9]/.test(letter)) {
      // Only a first `0` that would be taken for padding.
      return (
        wasEscaped === (index === 0 && letter === "0" && after?.wasEscaped === true && isPadded)
      );
    }
    if (!/[-_]/.test(letter)) return wasEscaped;
    let [from, to] = [index, index];
    while (/[-_]/.test(said[from - 1]?.letter ?? "")) from -= 1;
    while (/[-_]/.test(said[to + 1]?.letter ?? "")) to += 1;
    const run = said
      .slice(from, to + 1)
      .map((each) => each.letter)
      .join("");
    const next = said
      .slice(to + 1, to + 3)
      .map((each) => each.letter)
      .join("");
    const isJoint =
      from > 0 &&
      /^[a-z0-9]/.test(next) &&
      (run === "_" || run === "__" || /^-+$/.test(run)) &&
      !(run.length > 1 && run.endsWith("--") && /^[2-7][0-9a-f]$/.test(next) && next !== "7f");
    return wasEscaped === !isJoint && (before !== undefined || wasEscaped);
  });
}

interface Letter {
  readonly letter: string;
  readonly wasEscaped: boolean;
}

/** What a part says, and where its escapes begin. */
function unescaped(part: string): readonly [said: readonly Letter[], spans: readonly number[]] {
  const said: Letter[] = [];
  const spans: number[] = [];
  for (let at = 0; at < part.length; at++) {
    const hex = part.slice(at + 2, at + 4);
    if (part.startsWith("--", at) && /^[2-7][0-9a-f]$/.test(hex) && hex !== "7f") {
      spans.push(at);
      said.push({ letter: String.fromCharCode(Number.parseInt(hex, 16)), wasEscaped: true });
      at += 3;
    } else {
      said.push({ letter: part[at] ?? "", wasEscaped: false });
    }
  }
  if (spans[0] === 1 && said[0]?.letter === "0") said.shift();
  return [said, spans];
}
