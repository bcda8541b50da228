// The order in which origins are asked for an image, by rendezvous hashing: identical misses meet at one
// origin, wherever in the world they come from, and one that goes leaves the images of all others where
// they are.

import { digestOf } from "../../registry/naming/digest.ts";
import { canonicalNames, parseRepository } from "../../registry/naming/recipe.ts";

/** The first of them is where it is made. */
export async function ranking(
  urls: readonly string[],
  repository: string,
): Promise<readonly string[]> {
  if (urls.length === 1) return urls;
  const parsed = parseRepository(repository);
  const key = parsed.kind === "recipe" ? canonicalNames(parsed.recipe) : repository;
  const weighed = urls.map(async (url) => {
    const text = `${new URL(url).origin} ${key}`;
    return { url, weight: await digestOf(new TextEncoder().encode(text)) };
  });
  const byWeight = (await Promise.all(weighed)).sort((a, b) => (a.weight < b.weight ? -1 : 1));
  return byWeight.map(({ url }) => url);
}
