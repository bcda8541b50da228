// What keeps popularity data from being had, in words for whoever asked for them.

export class PopularityProblem extends Error {}

/** fetch says "fetch failed", and what it was only in the cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}
