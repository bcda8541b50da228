import { describe, expect, test } from "vitest";
import { showProgress } from "../../../origin/command/progress.ts";

function screen(isTTY: boolean) {
  const written: string[] = [];
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) > 0 };
  const clock = { ms: 0 };
  return { written, clock, progress: showProgress(stream as never, "files", () => clock.ms) };
}

describe("showProgress", () => {
  test("draws one line again and again on a terminal, no wider than it, and takes it away", () => {
    const { written, clock, progress } = screen(true);
    progress.update(0, 4, "");
    progress.update(1, 4, "");
    clock.ms += 100;
    progress.update(2, 4, "1 not in the cache, and more that is long");
    progress.end();
    expect(written).toStrictEqual([
      "\r\x1b[K[........................] files 0/4",
      "\r\x1b[K[############............] files 2/4, 1 not in the cache, a",
      "\r\x1b[K",
    ]);
  });

  test("writes a line now and then elsewhere", () => {
    const { written, clock, progress } = screen(false);
    for (; clock.ms <= 25_000; clock.ms += 1000) progress.update(clock.ms / 1000, 30, "");
    progress.end();
    expect(written).toStrictEqual(["files 10/30\n", "files 20/30\n"]);
  });
});
