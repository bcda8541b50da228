// Bodies read within a limit.

import { assert, describe, expect, test } from "vitest";
import { readLimited } from "../../../registry/http/body.ts";

/** A body in these pieces, and whether its reader gave it up. */
function bodyOf(pieces: readonly string[]) {
  const state = { isCancelled: false };
  const waiting = pieces.values();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = waiting.next();
      if (done) controller.close();
      else controller.enqueue(new TextEncoder().encode(value));
    },
    cancel() {
      state.isCancelled = true;
    },
  });
  return { body, state };
}

describe("readLimited", () => {
  for (const pieces of [[], ["abcd"], ["ab", "cd"], ["", "a", "", "bcd", ""]]) {
    test(`gives all of ${JSON.stringify(pieces)}`, async () => {
      const bytes = await readLimited(bodyOf(pieces).body, 4);
      expect(new TextDecoder().decode(bytes)).toBe(pieces.join(""));
    });
  }

  for (const pieces of [["abcde"], ["abcd", "e"], ["ab", "cde", "f"]]) {
    test(`refuses ${JSON.stringify(pieces)}, and the rest of it`, async () => {
      const { body, state } = bodyOf([...pieces, ...Array<string>(100).fill("more")]);
      expect(await readLimited(body, 4)).toBeUndefined();
      assert(state.isCancelled);
    });
  }

  test("takes no body for an empty one", async () => {
    expect((await readLimited(null, 4))?.length).toBe(0);
  });
});
