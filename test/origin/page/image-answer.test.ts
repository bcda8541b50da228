// What an origin tells of an image whose tag has moved: the newest that is known, and before an earlier one why a
// pull had none.

import { assert, expect, test } from "vitest";
import { answerImage } from "../../../origin/page/image-answer.ts";
import { createFailedPulls } from "../../../origin/pulling/failed-pulls.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import type { Pin } from "../../../registry/naming/pin.ts";
import { pinOf, recipeOf, tagOf } from "../../registry/fixture.ts";
import { knownOf } from "../../registry/pantry.ts";

const GIT = recipeOf("git");
const LATEST = tagOf("latest");
const PINS = ["e", "d", "c", "b", "a"].map((letter) => pinOf(letter.repeat(40)));
const [NEWEST, EARLIER, , THIRD_EARLIER, TOO_EARLY] = PINS;

/** Of a tag that has led to all of the pins, with the image made at some. */
async function origin(madeAt: readonly (Pin | undefined)[]) {
  const known = await knownOf("git");
  const failed = createFailedPulls(() => 7);
  const asked: Pin[] = [];
  assert(NEWEST !== undefined);
  const pinned = { kind: "pinned", pin: NEWEST, resolvedAtMs: 9, immutable: false } as const;
  const source = { kind: "path", path: "/nowhere", narHash: "" } as const;
  const options = {
    pins: {
      known: async () => ({ ...pinned, source }),
      moves: async () => PINS.map((pin, place) => ({ pin, sinceMs: 9 - place })),
    },
    known: {
      async state(_: unknown, pin: Pin) {
        asked.push(pin);
        return madeAt.includes(pin) ? known : undefined;
      },
    },
    failed,
  };
  return { failed, asked, told: async () => (await answerImage(options, GIT, LATEST)).image };
}

test("an image is told of at the newest of the tag's last pins at which it was made", async () => {
  const newest = await (await origin([NEWEST, EARLIER])).told();
  assert(newest.state === "known");
  expect(newest.facts).toMatchObject({ pin: NEWEST, resolvedAtMs: 9, isNewest: true });
  const earlier = await (await origin([THIRD_EARLIER, TOO_EARLY])).told();
  assert(earlier.state === "known");
  expect(earlier.facts).toMatchObject({ pin: THIRD_EARLIER, resolvedAtMs: null, isNewest: false });
});

test("no more than three earlier pins are looked at", async () => {
  const { told, asked } = await origin([TOO_EARLY]);
  expect(await told()).toMatchObject({ state: "unknown" });
  expect(asked).toStrictEqual(PINS.slice(0, 4));
});

test("why a pull had none is told before an image of an earlier pin, and behind one of the newest", async () => {
  const error = new RegistryError("UNAVAILABLE", "stopped after 60 s", { retryAfterSeconds: 1 });
  for (const [madeAt, state] of [
    [[EARLIER], "failed"],
    [[NEWEST], "known"],
  ] as const) {
    const { failed, told } = await origin(madeAt);
    failed.note([GIT], LATEST, error);
    expect((await told()).state).toBe(state);
  }
});
