// Seeded choices of the benchmark's work: every run measures the same.

import { createRandom, type Random } from "./graph/random.ts";

export { createRandom, type Random };

/** The items in another order (Fisher and Yates). */
export function shuffle<Item>(random: Random, items: readonly Item[]): Item[] {
  const left = [...items];
  const shuffled: Item[] = [];
  while (left.length > 0) shuffled.push(...left.splice(random.below(left.length), 1));
  return shuffled;
}
