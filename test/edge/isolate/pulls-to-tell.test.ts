// What an isolate remembers of pulls is bounded.

import { expect, test } from "vitest";
import { createPullsToTell } from "../../../edge/isolate/pulls-to-tell.ts";
import { MAX_PULLED_PER_BODY, TELL_AFTER_MS } from "../../../registry/between/pulled-images.ts";
import { digestOfText } from "../../registry/fixture.ts";

const pullOf = (text: string) => {
  const digest = digestOfText(text);
  return { digest, of: null, images: () => [{ manifests: [digest], of: null }] };
};

test("more pulls than a body takes are forgotten until they are pulled again", () => {
  const pulls = createPullsToTell();
  expect(pulls.note(pullOf("first"), 0)).toHaveLength(1);
  for (let place = 0; place < 2 * MAX_PULLED_PER_BODY; place += 1) {
    expect(pulls.note(pullOf(`${place}`), 1)).toStrictEqual([]);
  }
  expect(pulls.note(pullOf("first"), TELL_AFTER_MS)).toHaveLength(MAX_PULLED_PER_BODY);
  expect(pulls.note(pullOf("first"), 2 * TELL_AFTER_MS)).toStrictEqual([]);
});

test("what is noted of an image is not drawn up where it was told lately", () => {
  const pulls = createPullsToTell();
  pulls.note(pullOf("git"), 0);
  const images = () => expect.unreachable();
  expect(pulls.note({ ...pullOf("git"), images }, 1)).toStrictEqual([]);
});

test("a clock that is set back keeps no pull from being told", () => {
  const pulls = createPullsToTell();
  pulls.note(pullOf("git"), 3_600_000);
  expect(pulls.note(pullOf("git"), 0)).toHaveLength(1);
});
