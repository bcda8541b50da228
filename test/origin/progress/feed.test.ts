// What watchers of images are told, with a clock of the test's own. A stream is read as its client would.

import { afterEach, assert, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  createProgressFeed,
  HEARTBEAT_EVERY_MS,
  LOOK_EVERY_MS,
  MAX_WATCHERS,
  SLOW_AFTER_MS,
} from "../../../origin/progress/feed.ts";
import type { BackfillState, WorkEnd } from "../../../origin/progress/watched-work.ts";
import { failedEnd } from "../../../origin/progress/work-end.ts";
import { requestDemand } from "../../../origin/waiting/demand.ts";
import type { Stage } from "../../../origin/waiting/hold-request.ts";
import { packagesError } from "../../../registry/failures/failed-packages.ts";
import { readEvents } from "../../../registry/http/event-stream.ts";
import { type ProgressEvent, parseProgress } from "../../../registry/http/progress.ts";
import { parseRepository } from "../../../registry/naming/recipe.ts";
import { digestOfText, tagOf } from "../../registry/fixture.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const DIGEST = digestOfText("made");
const made: WorkEnd = { kind: "made", digest: DIGEST, backfill: null };

function named(repository: string) {
  const parsed = parseRepository(repository);
  assert(parsed.kind === "recipe");
  return { recipe: parsed.recipe, tag: tagOf("latest") };
}

function open() {
  let now = 1_000_000;
  const feed = createProgressFeed({ now: () => now });
  onTestFinished(() => feed.close());
  return {
    feed,
    setBack(ms: number) {
      now -= ms;
    },
    pass(ms: number) {
      for (let passed = 0; passed < ms; passed += LOOK_EVERY_MS) {
        now += LOOK_EVERY_MS;
        vi.advanceTimersByTime(LOOK_EVERY_MS);
      }
    },
    /** Work that the test ends, whose looks at its stage are counted. */
    begin(repository: string) {
      let end: WorkEnd = made;
      let stage: Stage = { kind: "looking-up" };
      let looks = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      const demand = requestDemand("x");
      const work = feed.follow(
        named(repository),
        { demand, onStage: () => {} },
        ({ onStage }) => {
          onStage(() => {
            looks += 1;
            return stage;
          });
          return promise;
        },
        () => end,
      );
      return {
        demand,
        looks: () => looks,
        come(next: Stage) {
          stage = next;
        },
        async end(as: WorkEnd) {
          end = as;
          resolve();
          await work;
        },
      };
    },
    watch: (repository: string, client = "x") => feed.watch(named(repository), client),
  };
}

type Reader = AsyncGenerator<ProgressEvent>;

async function* eventsOf(stream: ReadableStream<Uint8Array> | undefined): Reader {
  assert(stream !== undefined, "too many watch");
  for await (const { event, data } of readEvents(stream)) {
    yield parseProgress(event, data) ?? assert.fail(`no event: ${event} ${data}`);
  }
}

async function next(reader: Reader): Promise<ProgressEvent> {
  const { value } = await reader.next();
  return value ?? assert.fail("the stream has ended");
}

const packing = (done: number): Stage => ({
  kind: "packing",
  layers: { done, expected: 12, doneBytes: done * 1e6, expectedBytes: 12e6 },
});

describe("those who watch an image", () => {
  test("are a hundred at the price of one look, and of one event each", async () => {
    const { pass, begin, watch } = open();
    const work = begin("git");
    const readers = Array.from({ length: 100 }, (_, place) =>
      eventsOf(watch("git", `client ${place}`)),
    );
    for (const reader of readers) expect(await next(reader)).toMatchObject({ event: "stage" });
    const before = work.looks();
    expect(before).toBe(1);
    work.come(packing(3));
    pass(LOOK_EVERY_MS);
    expect(work.looks()).toBe(before + 1);
    for (const reader of readers) {
      expect(await next(reader)).toMatchObject({
        data: { stage: "packing", counts: { done: 3, expected: 12 }, bytes: { done: 3e6 } },
      });
    }
    // Nothing has changed.
    const waiting = readers.map((reader) => next(reader));
    pass(5 * LOOK_EVERY_MS);
    await work.end(made);
    for (const told of waiting) {
      expect(await told).toStrictEqual({
        event: "done",
        data: { digest: DIGEST, edge: "no-edge" },
      });
    }
    for (const reader of readers) expect(await reader.next()).toMatchObject({ done: true });
  });

  test("are none that anything is done for when nobody watches", async () => {
    const { pass, begin, watch } = open();
    const work = begin("git");
    pass(10 * LOOK_EVERY_MS);
    expect(work.looks()).toBe(0);
    const reader = eventsOf(watch("git"));
    await next(reader);
    await reader.return(undefined);
    const looks = work.looks();
    pass(10 * LOOK_EVERY_MS);
    expect(work.looks()).toBe(looks);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("hold no more than the latest where they never read, and are let go", async () => {
    const { pass, begin, watch } = open();
    const work = begin("git");
    const late = watch("git");
    const never = watch("git");
    for (let done = 1; done <= 12; done++) {
      work.come(packing(done));
      pass(LOOK_EVERY_MS);
    }
    const reader = eventsOf(late);
    expect(await next(reader)).toMatchObject({ data: { counts: { done: 12 } } });
    const stays = next(reader);
    pass(SLOW_AFTER_MS);
    assert(never !== undefined);
    expect(await never.getReader().read()).toStrictEqual({ done: true, value: undefined });
    await work.end(made);
    expect(await stays).toMatchObject({ event: "done" });
  });

  test("are reminded that the stream is alive while nothing changes", async () => {
    const { pass, begin, watch } = open();
    begin("git");
    const stream = watch("git");
    assert(stream !== undefined);
    const reader = stream.getReader();
    await reader.read();
    const silent = reader.read();
    pass(HEARTBEAT_EVERY_MS);
    expect(new TextDecoder().decode((await silent).value)).toBe(":\n\n");
  });

  test("hear that it is alive though the clock is set back", async () => {
    const { pass, setBack, begin, watch } = open();
    begin("git");
    const stream = watch("git");
    assert(stream);
    const reader = stream.getReader();
    await reader.read();
    const silent = reader.read();
    setBack(3_600_000);
    pass(HEARTBEAT_EVERY_MS);
    expect(new TextDecoder().decode((await silent).value)).toBe(":\n\n");
  });

  test("see one image under all spellings of its name, and nothing of others", async () => {
    const { begin, watch } = open();
    begin("git/htop");
    expect(await next(eventsOf(watch("htop/git")))).toMatchObject({ event: "stage" });
    for (const other of ["git", "arm64/git/htop"]) {
      expect(await next(eventsOf(watch(other)))).toStrictEqual({ event: "idle", data: {} });
    }
  });

  test("see the edge being filled, as long as it takes what it is given", async () => {
    const { pass, begin, watch } = open();
    const work = begin("git");
    const reader = eventsOf(watch("git"));
    await next(reader);
    const layers = { done: 1, expected: 2, doneBytes: 10, expectedBytes: 20 };
    let state: BackfillState = { kind: "under-way", stage: { kind: "backfilling", layers } };
    await work.end({ kind: "made", digest: DIGEST, backfill: () => state });
    expect(await next(reader)).toMatchObject({
      event: "stage",
      data: { stage: "backfilling", bytes: { done: 10, expected: 20 } },
    });
    // Who comes now sees the same.
    expect(await next(eventsOf(watch("git")))).toMatchObject({ data: { stage: "backfilling" } });
    state = { kind: "over", edge: "all" };
    pass(LOOK_EVERY_MS);
    expect(await next(reader)).toMatchObject({ event: "done", data: { edge: "all" } });
    expect(await next(eventsOf(watch("git")))).toMatchObject({ event: "known" });
  });

  test("are told that work waits for its turn where it was refused and is begun again", async () => {
    const { pass, begin, watch } = open();
    const refused = begin("git");
    const reader = eventsOf(watch("git"));
    await next(reader);
    await refused.end({ kind: "refused", message: "too many" });
    expect(await next(reader)).toMatchObject({ data: { stage: "queued" } });
    const again = begin("git");
    pass(LOOK_EVERY_MS);
    expect(await next(reader)).toMatchObject({ data: { stage: "looking-up" } });
    await again.end({ kind: "refused", message: "too many" });
    await next(reader);
    pass(6000);
    expect(await next(reader)).toStrictEqual({
      event: "failed",
      data: { message: "too many", log: [] },
    });
  });

  test("make nothing wanted that its client has left", () => {
    const { begin, watch } = open();
    const work = begin("git");
    watch("git");
    work.demand.leave();
    expect(work.demand.isWanted()).toBe(false);
    work.demand.giveWay();
    expect(work.demand.signal.aborted).toBe(true);
  });

  test("are refused where they are too many of one client, and elsewhere let in", () => {
    const { begin, watch } = open();
    begin("git");
    for (let count = 0; count < MAX_WATCHERS.ofClient; count++) expect(watch("git")).toBeDefined();
    expect(watch("git")).toBeUndefined();
    expect(watch("git", "another")).toBeDefined();
  });

  test("are refused where they are too many of one image", () => {
    const { begin, watch } = open();
    begin("git");
    for (let count = 0; count < MAX_WATCHERS.ofImage; count++) watch("git", `client ${count}`);
    expect(watch("git", "another")).toBeUndefined();
  });
});

describe("a failed build", () => {
  const hostile = [
    "<script>alert(1)</script>",
    "event: done\ndata: {}\n\n",
    "\u202edesrever \u001b[31mred\u001b[0m \u0000",
    "token=https://user:secret@host.example/x?sig=1",
    "x".repeat(10_000),
  ];

  test("gives its log as data, clean and short, to who watches and to who comes late", async () => {
    const { begin, watch } = open();
    const work = begin("git");
    const reader = eventsOf(watch("git"));
    await next(reader);
    const failure = {
      kind: "build-failed",
      derivation: "/nix/store/x-git.drv",
      reason: "builder failed",
      log: hostile,
    } as const;
    const name = named("git").recipe.packages.find((each) => each === "git");
    assert(name !== undefined);
    await work.end(failedEnd(packagesError([{ name, failure }])));
    for (const told of [await next(reader), await next(eventsOf(watch("git")))]) {
      assert(told.event === "failed");
      const { message, log } = told.data;
      expect(message).toMatch(/^git cannot be built/);
      expect(log).toHaveLength(hostile.length);
      expect(log[0]).toMatch(/^<script>alert/);
      expect(log[2]?.trim()).toBe("desrever red");
      expect(log.join()).not.toMatch(/secret|sig=/);
      expect(log[4]?.length).toBeLessThan(300);
    }
  });
});
