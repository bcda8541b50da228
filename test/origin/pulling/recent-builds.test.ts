// What an origin remembers of what was built and failed lately: little, and of each image once.

import { expect, test } from "vitest";
import { createRecentBuilds, MAX_RECENT } from "../../../origin/pulling/recent-builds.ts";
import { digestOfText, tagOf } from "../../registry/fixture.ts";

const MADE = { kind: "made", digest: digestOfText("made"), backfill: null } as const;
const failed = (message: string) => ({ kind: "failed", message, log: [] }) as const;
const of = (image: string, newBytes = 1) => ({ image, tag: tagOf("latest"), ms: 5, newBytes });

test("builds and failures are told apart, the newest first, each image once", () => {
  let nowMs = 0;
  const recent = createRecentBuilds(() => ++nowMs);
  recent.note(of("git"), MADE);
  recent.note(of("htop"), MADE);
  recent.note(of("git", 7), MADE);
  recent.note(of("gone", 0), failed("first"));
  recent.note(of("gone", 0), failed("then"));
  const told = recent.made().map(({ image, newBytes, endedAtMs }) => [image, newBytes, endedAtMs]);
  expect(told).toStrictEqual([
    ["git", 7, 3],
    ["htop", 1, 2],
  ]);
  expect(recent.failed().map(({ message }) => message)).toStrictEqual(["then"]);
});

test("a pull of what is there, and one that found no room, are no builds", () => {
  const recent = createRecentBuilds(() => 0);
  recent.note(of("git", 0), MADE);
  recent.note(of("git", 0), { kind: "refused", message: "others were served" });
  expect([recent.made(), recent.failed()]).toStrictEqual([[], []]);
});

test("the oldest make room, and long messages are cut", () => {
  const recent = createRecentBuilds(() => 0);
  for (let n = 0; n <= MAX_RECENT; n += 1) recent.note(of(`p${n}`, 0), failed("x".repeat(1e5)));
  const told = recent.failed();
  expect(told).toHaveLength(MAX_RECENT);
  expect([told[0]?.image, told.at(-1)?.image]).toStrictEqual([`p${MAX_RECENT}`, "p1"]);
  expect(told[0]?.message.length).toBeLessThanOrEqual(2000);
});
