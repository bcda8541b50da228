// Several things at once on a terminal, and in a file.

import { describe, expect, test } from "vitest";
import { openBoard } from "../../../origin/command/board.ts";

function open(isTTY: boolean) {
  const written: string[] = [];
  const out = { write: (text: string) => written.push(`out ${text}`) > 0 };
  const err = { isTTY, columns: 50, rows: 3, write: (text: string) => written.push(text) > 0 };
  const clock = { ms: 0 };
  const board = openBoard({ out: out as never, err: err as never }, () => clock.ms);
  return { board, written, clock };
}

const line = (step: string, said: string, done = 0) => ({ step, said, part: { done, of: 4 } });

describe("a board", () => {
  test("draws a line for each on a terminal, in the same place, no wider and no higher than it", () => {
    const { board, written, clock } = open(true);
    board.update(
      "git",
      line("a", "building \u001b[31mred\u202e\nand more that is far too long", 2),
    );
    clock.ms += 100;
    board.update("htop", line("a", "packing"));
    board.say("done");
    board.remove("git");
    board.end();
    const git = "[############............] git building red and m";
    const htop = "[........................] htop packing";
    expect(written).toStrictEqual([
      `${git}\n`,
      "\x1b[1A\r\x1b[J",
      `${git}\n${htop}\n`,
      "\x1b[2A\r\x1b[J",
      "out done\n",
      `${git}\n${htop}\n`,
      "\x1b[2A\r\x1b[J",
      `${htop}\n`,
      "\x1b[1A\r\x1b[J",
    ]);
  });

  test("writes a line elsewhere where one comes to something else, and now and then", () => {
    const { board, written, clock } = open(false);
    for (let second = 0; second <= 12; second++) {
      clock.ms = 1000 * second;
      board.update("git", line("packing", `packed ${second}`));
    }
    board.update("git", line("storing", "stored"));
    board.complain("git: failed");
    board.end();
    expect(written).toStrictEqual([
      ...["git: packed 0\n", "git: packed 10\n", "git: stored\n", "git: failed\n"],
    ]);
  });
});
