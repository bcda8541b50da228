// Where a tag led before: each move once, in order, whenever it is told.

import * as v from "valibot";
import { describe, expect, test } from "vitest";
import {
  MAX_MOVES,
  type TagMove,
  tagMovesSchema,
  withMove,
} from "../../../registry/between/tag-pins.ts";
import { pinOf } from "../fixture.ts";

/** `b20 a10`: led to a since 10, and to b since 20. */
const move = (text: string): TagMove => ({
  pin: pinOf(`${text[0]}`.repeat(40)),
  sinceMs: Number(text.slice(1)),
});
const movesOf = (text: string) => text.split(" ").filter(Boolean).map(move);

describe("withMove", () => {
  test.for([
    ["", "a10", "a10", "the first pin of a tag"],
    ["a10", "a30", "a10", "a pin that stays, since when it was first seen"],
    ["a10", "b20", "b20 a10", "a move"],
    ["b20 a10", "a30", "a30 b20 a10", "a move back"],
    ["c30 a10", "b20", "c30 b20 a10", "a move that is told late"],
    ["b20 a10", "a15", "b20 a10", "the pin of then, told late"],
    ["b20 a10", "b15", "b15 a10", "the pin of now at an earlier time"],
    ["b20", "a10", "b20 a10", "a pin before all others"],
  ] as const)("of %j with %s is %j: %s", ([before, told, after]) => {
    const { pin, sinceMs } = move(told);
    expect(withMove(movesOf(before), { pin, resolvedAtMs: sinceMs })).toStrictEqual(movesOf(after));
  });

  test("keeps the newest of many", () => {
    const told = Array.from({ length: MAX_MOVES + 3 }, (_, time) =>
      move(`${"ab"[time % 2]}${time}`),
    );
    const moves = told.reduce<readonly TagMove[]>(
      (all, { pin, sinceMs }) => withMove(all, { pin, resolvedAtMs: sinceMs }),
      [],
    );
    expect(moves).toStrictEqual(told.toReversed().slice(0, MAX_MOVES));
  });

  test("gives no more than is read again", () => {
    const moves = Array.from({ length: MAX_MOVES + 1 }, (_, time) => move(`a${time}`));
    expect(v.is(tagMovesSchema, moves)).toBe(false);
    expect(v.is(tagMovesSchema, moves.slice(1))).toBe(true);
  });
});
