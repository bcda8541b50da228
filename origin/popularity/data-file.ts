// Reads popularity data from where an operator has put them: a URL, or a file of this machine.

import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { MAX_POPULARITY_SIZE_BYTES } from "../layers/popularity.ts";
import { readStoredText } from "../storage/stored-json.ts";
import { fetchProblem } from "../words/fetch-problem.ts";
import { PopularityProblem } from "./problem.ts";

const DOWNLOAD_DEADLINE_MS = 60_000;

/** The text, unchecked. `url` is http, https or file. */
export async function readDataOf(url: string, signal: AbortSignal): Promise<string> {
  try {
    const text = url.startsWith("file:")
      ? await readDataFile(fileURLToPath(url))
      : await download(url, signal);
    if (text === undefined) throw new Error("no such file");
    return text;
  } catch (error) {
    signal.throwIfAborted();
    throw new PopularityProblem(`${url}: ${fetchProblem(error)}`);
  }
}

/** Undefined when there is no such file. */
export async function readDataFile(path: string): Promise<string | undefined> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    // A set that is one file has nothing beside it in a folder of that name.
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  // A pipe could be waited for without end, and a device has no size.
  if (!stats.isFile()) throw new PopularityProblem(`${path} is no file`);
  if (stats.size > MAX_POPULARITY_SIZE_BYTES) throw new PopularityProblem(`${path} is too large`);
  return dataIn(await readFile(path));
}

/** What an origin has counted itself is a file of its storage, with a checksum. */
function dataIn(bytes: Uint8Array): string {
  const text = readStoredText(bytes);
  if (text === undefined) throw new Error("not what its checksum is of");
  return text;
}

async function download(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS)]),
  });
  if (!response.ok) {
    await cancelBody(response.body);
    throw new Error(`HTTP ${response.status}`);
  }
  const bytes = await readLimited(response.body, MAX_POPULARITY_SIZE_BYTES);
  if (bytes === undefined) throw new Error("too large");
  return dataIn(bytes);
}
