// What the clients of a load ask for, drawn with a seed: mostly what is known, by tag, by digest and as
// blobs; combinations that nobody asked for before; names and blobs that are not; a few new packages.

import { type Random, shuffle } from "../bench/random.ts";
import type { PulledManifest } from "../e2e/clients.ts";

export const KINDS = [
  "tag",
  "digest",
  "head",
  "blob",
  "range",
  "combination",
  "missing name",
  "missing blob",
  "cold",
] as const;
export type Kind = (typeof KINDS)[number];

/** How often each is asked for, of a hundred; new packages come by the clock. */
const WEIGHTS: Readonly<Record<Exclude<Kind, "cold">, number>> = {
  tag: 26,
  digest: 26,
  head: 8,
  blob: 20,
  range: 6,
  combination: 8,
  "missing name": 4,
  "missing blob": 2,
};
const LARGEST_COMBINATION = 6;
const SMALLEST_COMBINATION = 2;
const SHELL_IN = 3;
/** To find one that was not asked for before. */
const MAX_TRIES = 1000;
/** A misspelled name is asked for again and again; only some are new. */
const KNOWN_MISSING = 8;
const NEW_MISSING_IN = 4;
const RANGE_BYTES = 64 * 1024;

export interface Card {
  readonly kind: Kind;
  readonly method: "GET" | "HEAD";
  readonly path: string;
  readonly range?: string;
  /** What the whole body must be; of others, what the answer itself says. */
  readonly digest?: string;
}

export interface Deck {
  next(): Card;
  /** The combinations that were drawn. */
  readonly combinations: ReadonlySet<string>;
}

/** Of images that are known, pulled as they were when the deck was made. */
export function createDeck(random: Random, known: readonly PulledManifest[]): Deck {
  const packages = [...new Set(known.flatMap(({ name }) => name.split("/")))].filter(isPackage);
  const asked = new Set<string>();
  const total = Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);
  const pick = <Item>(items: readonly Item[]): Item => {
    const item = items[random.below(items.length)];
    if (item === undefined) throw new Error("a deck of nothing");
    return item;
  };

  function kind(): Exclude<Kind, "cold"> {
    let left = random.below(total);
    for (const each of Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]) {
      left -= WEIGHTS[each];
      if (left < 0) return each;
    }
    return "tag";
  }

  function combination(): string {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const span = LARGEST_COMBINATION - SMALLEST_COMBINATION + 1;
      const size = SMALLEST_COMBINATION + random.below(span);
      const name = shuffle(random, packages).slice(0, size).sort().join("/");
      if (asked.has(name) || asked.has(`shell/${name}`)) continue;
      const whole = random.below(SHELL_IN) === 0 ? `shell/${name}` : name;
      asked.add(whole);
      return whole;
    }
    throw new Error("there are too few packages for so many combinations");
  }

  return {
    combinations: asked,
    next() {
      const image = pick(known);
      const { name, digest } = image;
      const layer = pick(image.layers);
      const hex = random
        .below(2 ** 31)
        .toString(16)
        .padStart(64, "0");
      const drawn = kind();
      switch (drawn) {
        case "tag":
          return { kind: drawn, method: "GET", path: manifestPath(name, "latest"), digest };
        case "digest":
          return { kind: drawn, method: "GET", path: manifestPath(name, digest), digest };
        case "head":
          return { kind: drawn, method: "HEAD", path: manifestPath(name, "latest"), digest };
        case "blob": {
          const blob = random.below(3) === 0 ? image.config : layer;
          return { kind: drawn, method: "GET", path: blobPath(name, blob.digest), ...blob };
        }
        case "range": {
          const first = random.below(Math.max(1, layer.size - RANGE_BYTES));
          const range = `bytes=${first}-${first + RANGE_BYTES - 1}`;
          return { kind: drawn, method: "GET", path: blobPath(name, layer.digest), range };
        }
        case "combination":
          return { kind: drawn, method: "GET", path: manifestPath(combination(), "latest") };
        case "missing name": {
          const isNew = random.below(NEW_MISSING_IN) === 0;
          const number = isNew ? random.below(2 ** 31) : random.below(KNOWN_MISSING);
          const missing = `${name}/no-such-package-${number}`;
          return { kind: drawn, method: "GET", path: manifestPath(missing, "latest") };
        }
        case "missing blob":
          return { kind: drawn, method: "GET", path: blobPath(name, `sha256:${hex}`) };
        default:
          return drawn satisfies never;
      }
    },
  };
}

function isPackage(segment: string): boolean {
  return segment !== "shell";
}

export function manifestPath(name: string, reference: string): string {
  return `/v2/${name}/manifests/${reference}`;
}

export function blobPath(name: string, digest: string): string {
  return `/v2/${name}/blobs/${digest}`;
}
