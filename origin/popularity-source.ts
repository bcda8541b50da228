// Where popularity data comes from: the file that Nixery's variable names, else one that a local
// package set carries, else none.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CLOSURES_PER_SHARER,
  MAX_POPULARITY_SIZE_BYTES,
  NO_POPULARITY,
  type Popularity,
  parsePopularity,
} from "./layers/popularity.ts";
import type { Source } from "./sources/source.ts";

const DOWNLOAD_DEADLINE_MS = 60_000;

/** Throws with what is wrong: layers cut without the data asked for would have to be cut again. */
export async function readPopularity(
  url: string | null,
  source: Source,
  signal: AbortSignal,
): Promise<Popularity> {
  if (url !== null) {
    return parsed(await downloadPopularity(url, signal), url);
  }
  if (source.kind !== "path") return NO_POPULARITY;
  const path = join(source.path, "popularity.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text === undefined ? NO_POPULARITY : parsed(text, path, CLOSURES_PER_SHARER);
}

function parsed(text: string, from: string, countsPerSharer?: number): Popularity {
  const result = parsePopularity(text, countsPerSharer);
  if (result.kind === "popularity") return result.popularity;
  throw new Error(`the popularity data of ${from} ${result.reason}`);
}

export async function downloadPopularity(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS)]),
  });
  if (!response.ok || response.body === null) throw new Error(`${url}: HTTP ${response.status}`);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_POPULARITY_SIZE_BYTES) throw new Error(`${url} is too large`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
