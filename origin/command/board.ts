// How far several things are at once, on standard error: a line with a bar for each on a terminal, drawn again
// and again in the same place; elsewhere a line where one has come to something else.

import type { WriteStream } from "node:tty";
import { plainText } from "../../registry/failures/public-text.ts";
import { barOf } from "./progress.ts";

export interface BoardLine {
  /** What is being done, without how far it is: elsewhere it is said once. */
  readonly step: string;
  readonly said: string;
  /** Null where nothing is counted. */
  readonly part: { readonly done: number; readonly of: number } | null;
}

export interface Board {
  update(name: string, line: BoardLine): void;
  remove(name: string): void;
  /** On standard output, in a line of its own above the others. */
  say(text: string): void;
  /** The same on standard error. */
  complain(text: string): void;
  /** Leaves nothing of it on a terminal. */
  end(): void;
}

export interface BoardStreams {
  readonly out: Pick<WriteStream, "write">;
  readonly err: Pick<WriteStream, "write" | "isTTY" | "columns" | "rows">;
}

const DRAW_EVERY_MS = 100;
const LINE_EVERY_MS = 10_000;
const DEFAULT_ROWS = 24;
const CLEAR_BELOW = "\x1b[J";

interface Shown {
  readonly line: BoardLine;
  readonly saidAtMs: number;
}

export function openBoard({ out, err }: BoardStreams, now: () => number): Board {
  const lines = new Map<string, Shown>();
  let drawnRows = 0;
  let drawnAtMs = Number.NEGATIVE_INFINITY;

  function clear(): void {
    if (drawnRows > 0) err.write(`\x1b[${drawnRows}A\r${CLEAR_BELOW}`);
    drawnRows = 0;
  }

  function draw(): void {
    clear();
    const rows = [...lines].slice(0, (err.rows ?? DEFAULT_ROWS) - 1);
    const texts = rows.map(([name, { line }]) =>
      rowOf(name, line).slice(0, (err.columns ?? 80) - 1),
    );
    err.write(texts.map((text) => `${text}\n`).join(""));
    drawnRows = texts.length;
    drawnAtMs = now();
  }

  function write(stream: Pick<WriteStream, "write">, text: string): void {
    if (err.isTTY) clear();
    stream.write(`${plainText(text)}\n`);
    if (err.isTTY) draw();
  }

  return {
    update(name, line) {
      const before = lines.get(name);
      if (err.isTTY) {
        lines.set(name, { line, saidAtMs: 0 });
        if (now() - drawnAtMs >= DRAW_EVERY_MS) draw();
        return;
      }
      const isNews = before?.line.step !== line.step;
      const isDue = before !== undefined && now() - before.saidAtMs >= LINE_EVERY_MS;
      const saysIt = isNews || (isDue && before.line.said !== line.said);
      lines.set(name, { line, saidAtMs: saysIt ? now() : (before?.saidAtMs ?? 0) });
      if (saysIt) err.write(`${oneLine(`${name}: ${line.said}`)}\n`);
    },
    remove(name) {
      lines.delete(name);
      if (err.isTTY) draw();
    },
    say: (text) => write(out, text),
    complain: (text) => write(err, text),
    end() {
      if (err.isTTY) clear();
      lines.clear();
    },
  };
}

function rowOf(name: string, { said, part }: BoardLine): string {
  const bar = part === null ? barOf(0, 0) : barOf(part.done, part.of);
  return oneLine(`${bar} ${name} ${said}`);
}

/** Of the package set's own words, which may have several. */
function oneLine(text: string): string {
  return plainText(text).replace(/\s+/g, " ");
}
