// What the tests of the origin's parts share: temporary places, and a log that can be read.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { pino } from "pino";
import type { Log } from "../../origin/log/log.ts";

/** Whatever knows its own end: a test, or a file of tests. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

/** The end of the file of tests that calls this first thing, before it waits for anything. */
export function endOfFile(): Ending {
  const endings: (() => Promise<void>)[] = [];
  after(async () => {
    for (const end of endings.toReversed()) await end();
  });
  return { after: (end) => void endings.push(end) };
}

export async function temporaryDirectory(t: Ending): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "nixport-origin-"));
  // What a failed test has left running may still write while its place is removed.
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

export interface LogLine {
  readonly msg: string;
  readonly [fact: string]: unknown;
}

/** A real log whose lines are kept instead of printed. */
export function readableLog(): { readonly log: Log; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (text: string) => {
    lines.push(JSON.parse(text));
  };
  return { log: pino({ level: "debug", base: null }, { write }), lines };
}
