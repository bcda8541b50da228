// Reads JSON that the storage holds. What is none counts as absent, so that it is made again: left by
// a disk that lost what it had promised to keep, it must not fail every request that comes to it.

export function parseStoredJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    // The caller's schema refuses it like any other value of the wrong shape.
    return undefined;
  }
}
