// Which names of a package set a user may have meant. Pure; fast enough for all of nixpkgs.

import { compare } from "../naming/compare.ts";

const MAX_NEAR_NAMES = 5;

// A longer name is no typing error of anything, and comparing it would only cost time.
const MAX_COMPARED_LENGTH = 64;
// A shorter name is part of too many others.
const MIN_PART_LENGTH = 3;
const MAX_EDITS = 3;

/** Of names that only share letters fewer are shown: most likely none is meant. */
const MAX_ALIKE_NAMES = 3;

/**
 * Up to five of `members`, best first, ties by length and then bytewise. Where none is a spelling
 * of the name, or begins or holds it, the three that share the most pairs of letters.
 */
export function nearNames(wanted: string, members: readonly string[]): readonly string[] {
  if (wanted === "" || wanted.length > MAX_COMPARED_LENGTH) return [];
  const near = best(members, ranking(wanted.toLowerCase()), MAX_NEAR_NAMES);
  return near.length > 0 ? near : best(members, alikeness(wanted.toLowerCase()), MAX_ALIKE_NAMES);
}

/** Most names are no candidates: only the best so far are kept, and looked at closely. */
function best(
  names: readonly string[],
  rank: (name: string) => number | undefined,
  most: number,
): readonly string[] {
  const ranked: Ranked[] = [];
  for (const name of names) {
    const found = rank(name.toLowerCase());
    if (found === undefined) continue;
    const entry = { name, rank: found };
    const last = ranked.at(-1);
    if (ranked.length === most && last !== undefined && before(last, entry) <= 0) continue;
    if (isInternal(name)) continue;
    const place = ranked.findIndex((each) => before(entry, each) < 0);
    ranked.splice(place < 0 ? ranked.length : place, 0, entry);
    if (ranked.length > most) ranked.pop();
  }
  return ranked.map((entry) => entry.name);
}

interface Ranked {
  readonly name: string;
  readonly rank: number;
}

function before(a: Ranked, b: Ranked): number {
  return a.rank - b.rank || a.name.length - b.name.length || compare(a.name, b.name);
}

/**
 * Smaller for names that share more pairs of neighbouring letters, each counted once, measured against
 * their own number of pairs.
 */
function alikeness(wanted: string): (name: string) => number | undefined {
  const isWanted = new Uint8Array(PAIRS);
  let wantedPairs = 0;
  for (let i = 1; i < wanted.length; i++) {
    const pair = pairAt(wanted, i);
    if (isWanted[pair] === 0) wantedPairs += 1;
    isWanted[pair] = 1;
  }
  // The number of the name that a pair was last seen in: nothing is cleared between names.
  const seenIn = new Uint32Array(PAIRS);
  let number = 0;
  return (name) => {
    number += 1;
    let [own, shared] = [0, 0];
    for (let i = 1; i < name.length; i++) {
      const pair = pairAt(name, i);
      if (seenIn[pair] === number) continue;
      seenIn[pair] = number;
      own += 1;
      shared += isWanted[pair] ?? 0;
    }
    return shared === 0 ? undefined : -shared / (wantedPairs + own);
  };
}

/** All names are ASCII; letters of others only make it less sharp. */
const PAIRS = 128 * 128;

function pairAt(text: string, i: number): number {
  return ((text.charCodeAt(i - 1) & 127) << 7) | (text.charCodeAt(i) & 127);
}

/** Examples of what a set holds, for the user who named the set instead of a package in it. */
export function exampleNames(members: readonly string[]): readonly string[] {
  return members.filter((name) => !isInternal(name)).slice(0, MAX_NEAR_NAMES);
}

// What package sets carry besides packages.
const SET_MACHINERY = new Set([
  "callPackage",
  "extend",
  "newScope",
  "override",
  "overrideDerivation",
  "overrideScope",
  "overrideScope'",
  "packages",
  "recurseForDerivations",
]);

/** What no image name can say is no suggestion either. */
function isInternal(name: string): boolean {
  return name.startsWith("__") || SET_MACHINERY.has(name) || !/^[ -~]+$/.test(name);
}

// Smaller is nearer. Another spelling of the same letters comes first, then a typing error or two,
// then names that begin with what was asked, then names that hold it.
function ranking(wanted: string): (name: string) => number | undefined {
  const letters = lettersOf(wanted);
  const most = Math.max(1, Math.min(MAX_EDITS, Math.floor(wanted.length / 4)));
  const editsTo = editDistance(wanted, most);
  return (name) => {
    if (name.length >= letters.length && hasLetters(name, letters)) return 0;
    const edits = editsTo(name);
    if (edits !== undefined) return 10 * edits;
    const longer = Math.min(name.length - wanted.length, 20);
    if (longer < 0) {
      const isPart = name.length >= MIN_PART_LENGTH && wanted.startsWith(name);
      return isPart ? 40 - Math.max(longer, -20) : undefined;
    }
    if (wanted.length < MIN_PART_LENGTH) return undefined;
    const position = name.indexOf(wanted);
    return position < 0 ? undefined : (position === 0 ? 15 : 60) + longer;
  };
}

const JOINTS = /[-_.]/g;

function lettersOf(name: string): string {
  return name.replaceAll(JOINTS, "");
}

/** The same as to compare `lettersOf(name)`, told by the first letter for nearly every name. */
function hasLetters(name: string, letters: string): boolean {
  let at = 0;
  for (let i = 0; i < name.length; i++) {
    const letter = name[i];
    if (letter === "-" || letter === "_" || letter === ".") continue;
    if (letter !== letters[at]) return false;
    at += 1;
  }
  return at === letters.length;
}

/**
 * Counts insertions, deletions, substitutions and swaps of neighbours between `a` and another name;
 * undefined when there are more than `most`. It runs for every name of a package set, so names of
 * other letters are told by one comparison, and only what lies near the diagonal is computed.
 */
function editDistance(a: string, most: number): (b: string) => number | undefined {
  const letters = lettersIn(a);
  return (b) => {
    if (Math.abs(a.length - b.length) > most) return undefined;
    // An edit changes at most two members of the set of letters.
    if (bitsIn(letters ^ lettersIn(b)) > 2 * most) return undefined;
    const far = most + 1;
    let beforePrevious: number[] = [];
    let previous = Array.from({ length: b.length + 1 }, (_, j) => Math.min(j, far));
    for (let i = 1; i <= a.length; i++) {
      const current = new Array<number>(b.length + 1).fill(far);
      current[0] = Math.min(i, far);
      const end = Math.min(b.length, i + most);
      for (let j = Math.max(1, i - most); j <= end; j++) {
        const same = a[i - 1] === b[j - 1];
        const diagonal = (previous[j - 1] ?? far) + (same ? 0 : 1);
        let cost = Math.min((previous[j] ?? far) + 1, (current[j - 1] ?? far) + 1, diagonal, far);
        if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
          cost = Math.min(cost, (beforePrevious[j - 2] ?? far) + 1);
        }
        current[j] = cost;
      }
      beforePrevious = previous;
      previous = current;
    }
    const distance = previous[b.length] ?? far;
    return distance <= most ? distance : undefined;
  };
}

/** A set of characters as bits; characters that share a bit only make it less sharp. */
function lettersIn(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits |= 1 << (text.charCodeAt(i) & 31);
  return bits;
}

function bitsIn(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
