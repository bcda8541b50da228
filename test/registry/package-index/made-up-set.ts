// A package set in the shape of nixpkgs as an index has it, the same for the same seed: hashes that nothing
// compresses, names and descriptions of words that come again as those of people do, one output each.

import type { FoundPackage } from "../../../registry/image/lookup.ts";
import { attributeName } from "../../../registry/naming/attribute.ts";
import type { StorePath } from "../../../registry/naming/store-path.ts";
import { canBeNamed } from "../../../registry/package-index/fold.ts";
import type { IndexEntry } from "../../../registry/package-index/shard.ts";
import { createRandom, pick, type Random } from "../../hostile-text.ts";

const BASE_32 = [..."0123456789abcdfghijklmnpqrsvwxyz"];
const SYLLABLES = [
  ...[
    "ab",
    "ac",
    "al",
    "an",
    "ar",
    "ba",
    "be",
    "bi",
    "bo",
    "ca",
    "ce",
    "ci",
    "co",
    "cu",
    "da",
    "de",
  ],
  ...[
    "di",
    "do",
    "el",
    "en",
    "er",
    "es",
    "fi",
    "fo",
    "ga",
    "ge",
    "gi",
    "go",
    "ha",
    "hi",
    "ho",
    "hu",
  ],
  ...[
    "in",
    "is",
    "it",
    "ja",
    "jo",
    "ka",
    "ki",
    "ko",
    "la",
    "le",
    "li",
    "lo",
    "lu",
    "ma",
    "me",
    "mi",
  ],
  ...[
    "mo",
    "mu",
    "na",
    "ne",
    "ni",
    "no",
    "nu",
    "on",
    "or",
    "pa",
    "pe",
    "pi",
    "po",
    "pu",
    "qu",
    "ra",
  ],
  ...[
    "re",
    "ri",
    "ro",
    "ru",
    "sa",
    "se",
    "si",
    "so",
    "su",
    "ta",
    "te",
    "ti",
    "to",
    "tu",
    "un",
    "ur",
  ],
  ...[
    "va",
    "ve",
    "vi",
    "vo",
    "wa",
    "we",
    "wi",
    "xa",
    "ya",
    "yo",
    "za",
    "ze",
    "zi",
    "zo",
    "ck",
    "nd",
  ],
];
const LICENSES = [
  ["MIT"],
  ["Apache-2.0"],
  ["GPL-3.0-or-later"],
  ["BSD-3-Clause"],
  ["GPL-2.0-only", "MIT"],
];

export interface MadeUpSet {
  readonly entries: readonly IndexEntry[];
  /** The same with another version of some of them, which moves their paths. */
  bumped(share: number, seed: number): readonly IndexEntry[];
}

/** With a share of them in a set of its own, as nixpkgs has Python's modules. */
export function madeUpSet(count: number, seed = 7): MadeUpSet {
  const random = createRandom(seed);
  const words = Array.from({ length: 2500 }, () => word(random));
  const attributes = new Set<string>();
  while (attributes.size < count) {
    const name = Array.from({ length: 1 + random.below(2) }, () => pick(random, words)).join("-");
    const spelled =
      random.below(12) === 0 ? name.replace(/-./, (c) => c.slice(1).toUpperCase()) : name;
    const path = random.below(4) === 0 ? ["python3Packages", spelled] : [spelled];
    if (canBeNamed(path)) attributes.add(attributeName(path));
  }
  const entries = [...attributes].map((attribute) => entryOf(attribute, words, random));
  return {
    entries,
    bumped(share, bumpSeed) {
      const again = createRandom(bumpSeed);
      return entries.map((entry) =>
        again.below(10_000) < share * 10_000 ? bumpedEntry(entry, again) : entry,
      );
    },
  };
}

function word(random: Random): string {
  return Array.from({ length: 2 + random.below(3) }, () => pick(random, SYLLABLES)).join("");
}

function entryOf(attribute: string, words: readonly string[], random: Random): IndexEntry {
  const [name = "", set] = attribute.split(".").toReversed();
  const version = versionOf(random);
  const description = Array.from({ length: 5 + random.below(6) }, () => pick(random, words)).join(
    " ",
  );
  const prefix = set === undefined ? "" : "python3.13-";
  const stem = `${prefix}${name}-${version}`;
  const found: FoundPackage = {
    kind: "found",
    attribute,
    derivation: `/nix/store/${hash(random)}-${stem}.drv`,
    outputs: [{ name: "out", path: `/nix/store/${hash(random)}-${stem}` as StorePath }],
    name,
    version,
    description: description.slice(0, 60),
    licenses: LICENSES[random.below(9)] ?? ["MIT"],
    mainProgram: [null, name, pick(random, words)][random.below(3)] ?? null,
    homepage: `https://${pick(random, ["github.com", "gitlab.com", word(random)])}/${pick(random, words)}/${name}`,
  };
  return { attribute, said: found };
}

function bumpedEntry(entry: IndexEntry, random: Random): IndexEntry {
  if (entry.said.kind !== "found") return entry;
  const { name, attribute } = entry.said;
  const version = versionOf(random);
  const stem = `${attribute.includes(".") ? "python3.13-" : ""}${name}-${version}`;
  const said = {
    ...entry.said,
    version,
    derivation: `/nix/store/${hash(random)}-${stem}.drv`,
    outputs: [{ name: "out", path: `/nix/store/${hash(random)}-${stem}` as StorePath }],
  };
  return { ...entry, said };
}

function versionOf(random: Random): string {
  return `${random.below(8)}.${random.below(40)}.${random.below(20)}`;
}

function hash(random: Random): string {
  return Array.from({ length: 32 }, () => pick(random, BASE_32)).join("");
}
