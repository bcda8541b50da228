// Reads a list of store paths, one a line, as a channel publishes it in store-paths.xz: from a file
// or a URL, compressed or plain.

import { mkdtemp, open, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cancelBody } from "../../registry/http/body.ts";
import { parseStorePath, type StorePath } from "../../registry/naming/store-path.ts";
import { runProcess } from "../nix/spawn.ts";
import { fetchProblem } from "../words/fetch-problem.ts";
import { PopularityProblem } from "./problem.ts";

export interface ListOptions {
  /** What xz runs in. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** nixos-unstable's has 10 MB, and 2 MB in store-paths.xz. */
const MAX_LIST_BYTES = 256 << 20;
const TOO_LARGE = `is larger than ${MAX_LIST_BYTES} bytes`;
const DOWNLOAD_DEADLINE_MS = 10 * 60_000;
const UNPACK_DEADLINE_MS = 60_000;
const XZ_MAGIC = Buffer.from("fd377a585a00", "hex");

/** Throws with what is wrong, in words. */
export async function readStorePathList(
  from: string,
  options: ListOptions,
): Promise<readonly StorePath[]> {
  if (!/^https?:\/\//.test(from)) return parseList(await readText(from, from, options), from);
  const folder = await mkdtemp(join(tmpdir(), "nixport-store-paths-"));
  try {
    const file = join(folder, "list");
    await download(from, file, options.signal);
    return parseList(await readText(file, from, options), from);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function parseList(text: string, from: string): readonly StorePath[] {
  const paths: StorePath[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const path = parseStorePath(line);
    if (path === undefined) {
      const shown = JSON.stringify(line.slice(0, 100));
      throw new PopularityProblem(`${from}: line ${index + 1} is no store path: ${shown}`);
    }
    paths.push(path);
  }
  if (paths.length === 0) throw new PopularityProblem(`${from} lists no store path`);
  return paths;
}

async function readText(file: string, from: string, { env, signal }: ListOptions): Promise<string> {
  if (!(await isXz(file))) {
    const { size } = await stat(file);
    if (size > MAX_LIST_BYTES) throw new PopularityProblem(`${from} ${TOO_LARGE}`);
    return readFile(file, "utf8");
  }
  const result = await runProcess("xz", ["--decompress", "--stdout", "--", file], {
    ...{ env, signal, deadlineMs: UNPACK_DEADLINE_MS, maxStdoutBytes: MAX_LIST_BYTES },
  });
  if (result.kind === "exited" && result.code === 0) return result.stdout;
  signal.throwIfAborted();
  const why = result.kind === "exited" ? result.stderr.trim() : result.kind;
  throw new PopularityProblem(
    result.kind === "not-started"
      ? `${from} is compressed, and xz is not installed`
      : `xz could not unpack ${from}: ${why}`,
  );
}

async function isXz(file: string): Promise<boolean> {
  const handle = await open(file, "r");
  try {
    const { buffer } = await handle.read(Buffer.alloc(XZ_MAGIC.length), 0, XZ_MAGIC.length, 0);
    return buffer.equals(XZ_MAGIC);
  } finally {
    await handle.close();
  }
}

async function download(url: string, file: string, signal: AbortSignal): Promise<void> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_DEADLINE_MS)]);
  const handle = await open(file, "wx");
  try {
    const response = await fetch(url, { signal: limits });
    if (!response.ok) {
      await cancelBody(response.body);
      throw new Error(`HTTP ${response.status}`);
    }
    let sizeBytes = 0;
    for await (const chunk of response.body ?? []) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_LIST_BYTES) throw new Error(TOO_LARGE);
      await handle.writeFile(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new PopularityProblem(`${url}: ${fetchProblem(error)}`);
  } finally {
    await handle.close();
  }
}
