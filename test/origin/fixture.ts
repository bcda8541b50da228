// What the tests of the origin's parts share: temporary places, and a log that can be read.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll } from "vitest";
import type { Log } from "../../origin/log/log.ts";

/** Takes what is to be done at the end of a test (`onTestFinished`), or of a file of tests. */
export type Ending = (end: () => void | Promise<void>) => void;

/** The end of the file of tests that calls this first thing, before it waits for anything. */
export function endOfFile(): Ending {
  const endings: (() => void | Promise<void>)[] = [];
  afterAll(async () => {
    for (const end of endings.toReversed()) await end();
  });
  return (end) => void endings.push(end);
}

export async function temporaryDirectory(onEnd: Ending): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "nixport-origin-"));
  onEnd(async () => {
    // A store of its own in there is read-only, which keeps whoever is not root from removing it.
    await promisify(execFile)("chmod", ["-R", "u+w", path]).catch(() => undefined);
    // What a failed test has left running may still write while its place is removed.
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  });
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
