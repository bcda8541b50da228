// When the origin is asked for a client that is held, and when the client is told: to the second, with
// a clock of the test's own.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Attempt, heldBy, whileHeld } from "../../../edge/origin-client/origin-wait.ts";
import { RegistryError } from "../../../registry/http/error.ts";
import type { Hold } from "../../../registry/http/hold.ts";

const CONTAINERD: Hold = { seconds: 27, status: 429 };
const SKOPEO: Hold = { seconds: null, status: 503 };
const AGAIN_SECONDS = 660;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => void vi.useRealTimers());

const sleep = (seconds: number) =>
  new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(0, seconds)));

function building(): RegistryError {
  const detail = [{ reason: "building", progress: null }];
  return new RegistryError("UNAVAILABLE", "1 of 2", { detail, retryAfterSeconds: 1 });
}

interface Course {
  /** When the origin was asked, in seconds from the beginning. */
  readonly asked: readonly number[];
  readonly endedAt: number;
  readonly outcome: unknown;
}

/** An origin that answers after what it holds requests for, or when it is told to before. */
async function course(hold: Hold, originSeconds: number, readyAt = Infinity): Promise<Course> {
  const asked: number[] = [];
  const now = () => Math.round(performance.now() - startMs) / 1000;
  const startMs = performance.now();
  const ask = async ({ leftMs }: Attempt) => {
    asked.push(now());
    await sleep(Math.min(originSeconds, leftMs / 1000, readyAt - now()));
    if (now() >= readyAt) return "image";
    throw building();
  };
  const held = heldBy(hold, 1000 * AGAIN_SECONDS, new AbortController().signal);
  const outcome = whileHeld(ask, held).catch((error: unknown) => error);
  const ended = outcome.then(() => now());
  await vi.advanceTimersByTimeAsync(1_000_000);
  return { asked, endedAt: await ended, outcome: await outcome };
}

test("one that gives up after 30 s is told after 27, and the origin is not asked at the last moment", async () => {
  const { asked, endedAt, outcome } = await course(CONTAINERD, 50);
  expect([asked, endedAt]).toStrictEqual([[0], 27]);
  expect(outcome).toMatchObject({ code: "TOOMANYREQUESTS", message: "1 of 2" });
});

test("one that gives up is held to the end, however early the origin answers", async () => {
  const { asked, endedAt } = await course(CONTAINERD, 9);
  expect([asked, endedAt]).toStrictEqual([[0, 10, 20], 27]);
});

test("one that waits is held for as long as a build may take, and an answer more", async () => {
  const { asked, endedAt, outcome } = await course(SKOPEO, 50);
  expect(asked).toHaveLength(13);
  expect(Math.floor(endedAt)).toBe(12 * 51 + 50);
  expect(outcome).toMatchObject({ code: "UNAVAILABLE", message: "1 of 2" });
});

test("one that waits has its image when it is there", async () => {
  const { asked, endedAt, outcome } = await course(SKOPEO, 50, 120);
  expect([asked, endedAt, outcome]).toStrictEqual([[0, 51, 102], 120, "image"]);
});
