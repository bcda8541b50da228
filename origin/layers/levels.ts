// Which paths lead a bundle, level by level: the rule of bundles.ts.

export const LARGE_PATH_SIZE_BYTES = 1_000_000;
export const MAX_LEVEL = 6;
const STEP = 4;

export function leads(
  narSizeBytes: number,
  count: number,
  threshold: number,
  level: number,
): boolean {
  if (level >= MAX_LEVEL) return false;
  const factor = STEP ** level;
  return narSizeBytes >= LARGE_PATH_SIZE_BYTES * factor || count >= threshold * factor;
}
