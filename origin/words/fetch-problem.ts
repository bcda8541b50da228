/** Why fetch failed, in words: it says "fetch failed" itself, and what it was only in the cause. */
export function fetchProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}
