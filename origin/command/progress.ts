// How far a long command is, on standard error: a bar on a terminal, elsewhere a line now and then.

import type { WriteStream } from "node:tty";

export interface Progress {
  /** As often as one likes: most calls write nothing. */
  update(done: number, of: number, detail: string): void;
  /** Leaves the terminal with an empty line for what is said next. */
  end(): void;
}

const BAR_EVERY_MS = 100;
const LINE_EVERY_MS = 10_000;
const BAR_CHARACTERS = 24;
const CLEAR_LINE = "\r\x1b[K";

export function showProgress(
  stream: Pick<WriteStream, "write" | "isTTY" | "columns">,
  what: string,
  now: () => number,
): Progress {
  let shownAtMs = stream.isTTY ? Number.NEGATIVE_INFINITY : now();
  return {
    update(done, of, detail) {
      if (now() - shownAtMs < (stream.isTTY ? BAR_EVERY_MS : LINE_EVERY_MS)) return;
      shownAtMs = now();
      const text = `${what} ${done}/${of}${detail === "" ? "" : `, ${detail}`}`;
      if (!stream.isTTY) stream.write(`${text}\n`);
      else stream.write(CLEAR_LINE + `${barOf(done, of)} ${text}`.slice(0, stream.columns - 1));
    },
    end() {
      if (stream.isTTY) stream.write(CLEAR_LINE);
    },
  };
}

export function barOf(done: number, of: number): string {
  const filled = of === 0 ? 0 : Math.floor((Math.min(done, of) / of) * BAR_CHARACTERS);
  return `[${"#".repeat(filled).padEnd(BAR_CHARACTERS, ".")}]`;
}
