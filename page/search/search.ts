// Searching a corpus: one linear scan, which needs no index of its own to be made first and takes a small part
// of the time that a person notices.

import { type Corpus, type FoundPackage, packageAt } from "./corpus.ts";

export interface Found {
  readonly packages: readonly FoundPackage[];
  /** Of those that match, of which the best are given. */
  readonly count: number;
}

const MAX_QUERY_LENGTH = 200;
const MAX_WORDS = 8;

/** How well a word matches, the best first. */
const RANKS = {
  exact: 0,
  prefix: 1,
  programPrefix: 2,
  wordInName: 3,
  insideName: 4,
  wordInDescription: 5,
  insideDescription: 6,
} as const;
const WORST = RANKS.insideDescription;

/** Packages that match every word of a query: the best first, and the plainest name among equals. */
export function search(corpus: Corpus, query: string, limit: number): Found {
  const words = wordsOf(query);
  if (words.length === 0) return { packages: [], count: 0 };
  const byRank = Array.from({ length: WORST * words.length + 1 }, (): number[] => []);
  const beginnings = RANKS.prefix * words.length;
  let count = 0;
  let best = 0;
  for (let place = 0; place < corpus.count; place += 1) {
    // Where more begin with it than are shown, how well the others match need not be known.
    const rank = rankOf(corpus, place, words, best >= limit);
    if (rank === undefined) continue;
    count += 1;
    if (rank > WORST * words.length) continue;
    byRank[rank]?.push(place);
    if (rank <= beginnings) best += 1;
  }
  const shown: number[] = [];
  for (const places of byRank) {
    if (shown.length >= limit) break;
    shown.push(...plainest(corpus, places, limit - shown.length));
  }
  return { packages: shown.map((place) => packageAt(corpus, place)), count };
}

/** Blanks separate words; what else a query holds may be part of a name. */
function wordsOf(query: string): readonly string[] {
  const text = query.slice(0, MAX_QUERY_LENGTH).toLowerCase();
  return [...new Set(text.split(/\s+/).filter((word) => word !== ""))].slice(0, MAX_WORDS);
}

/** Infinity of what matches too, and no better than it need be known. */
function rankOf(
  corpus: Corpus,
  place: number,
  words: readonly string[],
  isRough: boolean,
): number | undefined {
  const line = corpus.folded[place] ?? "";
  let sum = 0;
  for (const word of words) {
    if (!line.includes(word)) return undefined;
    const rank = wordRank(corpus, place, word, isRough);
    if (rank === undefined) return undefined;
    sum += rank;
  }
  return sum;
}

function wordRank(
  corpus: Corpus,
  place: number,
  word: string,
  isRough: boolean,
): number | undefined {
  const name = corpus.names[place] ?? "";
  const attribute = corpus.attributes[place] ?? "";
  const program = corpus.programs[place] ?? "";
  const others = corpus.others[place] ?? [];
  if (name === word || attribute === word || program === word || others.includes(word)) {
    return RANKS.exact;
  }
  if (name.startsWith(word) || attribute.startsWith(word)) return RANKS.prefix;
  if (isRough) return Number.POSITIVE_INFINITY;
  if (program.startsWith(word)) return RANKS.programPrefix;
  const inName = attribute.indexOf(word);
  if (inName !== -1 && beginsWord(attribute, word)) return RANKS.wordInName;
  if (inName !== -1 || program.includes(word) || others.some((other) => other.includes(word))) {
    return RANKS.insideName;
  }
  const description = descriptionOf(corpus.folded[place] ?? "");
  if (!description.includes(word)) return undefined;
  return beginsWord(description, word) ? RANKS.wordInDescription : RANKS.insideDescription;
}

/** The third of a line's fields, which tabs separate. */
function descriptionOf(line: string): string {
  const start = line.indexOf("\t", line.indexOf("\t") + 1) + 1;
  const end = start === 0 ? -1 : line.indexOf("\t", start);
  return start === 0 ? "" : line.slice(start, end === -1 ? undefined : end);
}

/** Whether a word stands anywhere behind what is no letter or digit. */
function beginsWord(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    if (at === 0 || !isLetterOrDigit(text.charCodeAt(at - 1))) return true;
  }
  return false;
}

function isLetterOrDigit(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code > 127;
}

/** Few of many need no order among all of them. */
function plainest(corpus: Corpus, places: readonly number[], limit: number): readonly number[] {
  const { attributes, weights } = corpus;
  const order = (a: number, b: number) =>
    (weights[a] ?? 0) - (weights[b] ?? 0) ||
    ((attributes[a] ?? "") < (attributes[b] ?? "") ? -1 : 1);
  if (places.length <= 4 * limit) return [...places].sort(order).slice(0, limit);
  const chosen: number[] = [];
  for (const place of places) {
    const last = chosen[limit - 1];
    if (last !== undefined && order(place, last) >= 0) continue;
    let low = 0;
    let high = chosen.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order(place, chosen[middle] ?? place) < 0) high = middle;
      else low = middle + 1;
    }
    chosen.splice(low, 0, place);
    if (chosen.length > limit) chosen.pop();
  }
  return chosen;
}
