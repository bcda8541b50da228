// Reads JSON that the storage holds. What is none counts as absent, so that it is made again: left by
// a disk that lost what it had promised to keep, it must not fail every request that comes to it.

import { parseJson } from "../../registry/http/json.ts";

export function parseStoredJson(bytes: Uint8Array): unknown {
  return parseJson(bytes);
}
