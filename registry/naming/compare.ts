// The order of texts by their bytes, whatever the language of who runs this. For ASCII, as names, digests and
// store paths are.

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
