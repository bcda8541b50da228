// What a binary cache has answered, kept in a file: who counts again, or goes on after a Ctrl-C,
// asks only for the rest. A store path's references never change, so nothing in it grows old.

import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { parseStorePath, type StorePath, storePathBase } from "../../registry/naming/store-path.ts";
import type { Narinfo } from "./narinfo.ts";
import { PopularityProblem } from "./problem.ts";

export interface NarinfoJournal {
  lookup(path: StorePath): Narinfo | undefined;
  append(narinfo: Narinfo): void;
  /** Resolves when what was appended is with the operating system. */
  close(): Promise<void>;
}

/** All of nixpkgs takes some 60 MB. */
const MAX_JOURNAL_BYTES = 1 << 30;

/** Each line is a JSON list of a path and its references, without /nix/store/. */
export async function openNarinfoJournal(file: string): Promise<NarinfoJournal> {
  await mkdir(dirname(file), { recursive: true });
  const known = await readJournal(file);
  const stream = createWriteStream(file, { flags: "a" });
  let broken: Error | undefined;
  stream.on("error", (error) => {
    broken = error;
  });
  // A line that a kill cut short stays unreadable by itself.
  if (!(await endsWithLine(file))) stream.write("\n");
  return {
    lookup: (path) => known.get(path),
    append(narinfo) {
      known.set(narinfo.path, narinfo);
      const line = [narinfo.path, ...narinfo.references].map(storePathBase);
      stream.write(`${JSON.stringify(line)}\n`);
    },
    async close() {
      stream.end();
      await finished(stream).catch((error) => {
        broken ??= error;
      });
      if (broken !== undefined) throw new PopularityProblem(`${file}: ${broken.message}`);
    },
  };
}

async function readJournal(file: string): Promise<Map<StorePath, Narinfo>> {
  const known = new Map<StorePath, Narinfo>();
  const stats = await stat(file).catch(() => undefined);
  if (stats === undefined) return known;
  if (stats.size > MAX_JOURNAL_BYTES)
    throw new PopularityProblem(`${file} is too large: remove it`);
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const narinfo = parseLine(line);
    if (narinfo !== undefined) known.set(narinfo.path, narinfo);
  }
  return known;
}

function parseLine(line: string): Narinfo | undefined {
  try {
    const [path, ...references] = (JSON.parse(line) as unknown[]).map((base) =>
      parseStorePath(`/nix/store/${base}`),
    );
    if (path === undefined) return undefined;
    const valid = references.filter((reference) => reference !== undefined);
    return valid.length === references.length ? { path, references: valid } : undefined;
  } catch {
    // Cut short, or none of ours: the cache is asked again.
    return undefined;
  }
}

async function endsWithLine(file: string): Promise<boolean> {
  const handle = await open(file, "a+");
  try {
    const { size } = await handle.stat();
    if (size === 0) return true;
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a;
  } finally {
    await handle.close();
  }
}
