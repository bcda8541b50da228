// What is remembered of tags: answered at once, asked for again behind the answer.

import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { ANSWER_LIFE_MS } from "../../../origin/sources/git-remote.ts";
import { type Pins, rememberPins } from "../../../origin/sources/pins.ts";
import type { Source } from "../../../origin/sources/source.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { tagOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";
import { NO_NIX } from "../nix/fixture.ts";
import { createRepository, GIT_ENV, type Repository } from "./git-repository.ts";
import { startGitServer } from "./git-server.ts";

const limit = { timeout: 30_000 };
/** Longer than one answer of a remote serves, so that a stale pin is always asked for anew. */
const FRESH_MS = 2 * ANSWER_LIFE_MS;
const LATEST = tagOf("latest");
const MAIN = tagOf("main");

interface Setting {
  readonly repository: Repository;
  readonly clock: { nowMs: number };
  /** As after a restart: nothing in memory, the same storage. */
  open(source?: Source): Promise<Pins>;
  /** `<tag> <from> <to>` for each pin that moved. */
  readonly moves: readonly string[];
  readonly lines: ReturnType<typeof readableLog>["lines"];
  /** Makes the repository unreachable until it is called again. */
  takeAway(): Promise<void>;
  endProcesses(): void;
  /** What is done before a pin is written: nothing, until a test says so. */
  readonly disk: { beforeWriting: () => Promise<void> };
}

async function prepare(onEnd: Ending): Promise<Setting> {
  const repository = await createRepository(onEnd);
  const root = await temporaryDirectory(onEnd);
  const clock = { nowMs: 1_000_000 };
  const { log, lines } = readableLog();
  const moves: string[] = [];
  const disk = { beforeWriting: async () => {} };
  const ended = new AbortController();
  onEnd(() => ended.abort());
  const places = [repository.path, `${repository.path}-away`];
  const takeAway = async () => {
    const [from = "", to = ""] = places;
    await rename(from, to);
    places.reverse();
  };
  onEnd(async () => {
    if (places[0] !== repository.path) await takeAway();
  });
  return {
    ...{ repository, clock, lines, moves, takeAway, disk },
    endProcesses: () => ended.abort(),
    async open(source = { kind: "git", url: `file://${repository.path}` }) {
      const files = await openFilesystemStore(root);
      const store: BlobStore = {
        ...files,
        async store(key, bytes) {
          await disk.beforeWriting();
          await files.store(key, bytes);
        },
      };
      const options = { source, nix: NO_NIX, store, log, env: GIT_ENV, freshMs: FRESH_MS };
      return rememberPins({
        ...options,
        now: () => clock.nowMs,
        signal: ended.signal,
        onMoved: (tag, from, to) => moves.push(`${tag} ${from.pin} ${to.pin}`),
      });
    },
  };
}

async function pinned(pins: Pins, tag = LATEST) {
  const result = await pins.resolve(tag);
  assert(result.kind === "pinned", JSON.stringify(result));
  return result;
}

/** Asks when the pin is stale, and waits for what happens behind the answer. */
async function refresh(pins: Pins, clock: Setting["clock"], tag = LATEST) {
  clock.nowMs += FRESH_MS;
  const result = await pins.resolve(tag);
  await pins.settled();
  return result;
}

describe("a pin", limit, () => {
  test("is answered at once when it is stale, and has moved for the next who asks", async () => {
    const { repository, clock, open } = await prepare(onTestFinished);
    const pins = await open();
    const first = await repository.commit("1");
    expect((await pinned(pins, MAIN)).pin).toBe(first);
    const second = await repository.commit("2");
    clock.nowMs += FRESH_MS - 1;
    expect((await pinned(pins, MAIN)).pin).toBe(first);
    await pins.settled();
    expect((await pinned(pins, MAIN)).pin).toBe(first);
    clock.nowMs += 1;
    expect((await pinned(pins, MAIN)).pin).toBe(first);
    await pins.settled();
    const moved = await pinned(pins, MAIN);
    expect(moved.pin).toBe(second);
    expect(moved.resolvedAtMs).toBe(clock.nowMs);
  });

  test("is stale as well where the clock was set back since, and however far", async () => {
    const { repository, clock, open } = await prepare(onTestFinished);
    const pins = await open();
    await repository.commit("1");
    await pinned(pins, MAIN);
    const second = await repository.commit("2");
    clock.nowMs -= 1;
    await pinned(pins, MAIN);
    await pins.settled();
    expect((await pinned(pins, MAIN)).pin).toBe(second);
  });

  test("is answered at once after a restart, however old", async () => {
    const { repository, clock, open } = await prepare(onTestFinished);
    const first = await repository.commit("1");
    await pinned(await open(), MAIN);
    const second = await repository.commit("2");
    clock.nowMs += 1000 * FRESH_MS;
    const pins = await open();
    expect((await pinned(pins, MAIN)).pin).toBe(first);
    await pins.settled();
    expect((await pinned(pins, MAIN)).pin).toBe(second);
  });

  test("of a commit is never asked for, whatever becomes of the remote", async () => {
    const { repository, clock, open, takeAway } = await prepare(onTestFinished);
    const pins = await open();
    const commit = await repository.commit("1");
    await takeAway();
    const first = await pinned(pins, tagOf(commit));
    expect(first.pin).toBe(commit);
    clock.nowMs += 1_000_000 * FRESH_MS;
    expect((await pinned(pins, tagOf(commit))).pin).toBe(commit);
    expect((await pinned(await open(), tagOf(commit))).pin).toBe(commit);
  });

  test("is kept when the remote is gone, also across a restart, and says so", async () => {
    const { repository, clock, open, lines, takeAway } = await prepare(onTestFinished);
    const pins = await open();
    await repository.commit("1");
    const before = await pinned(pins);
    await takeAway();
    for (const opened of [pins, await open()]) {
      await refresh(opened, clock);
      const { outdated, ...kept } = await pinned(opened);
      expect(kept).toStrictEqual(before);
      expect(outdated ?? "").toMatch(/does not appear to be a git repository/);
    }
    const kept = lines.filter(({ msg }) => msg === "tag kept at an earlier pin");
    expect(kept.map(({ ageSeconds }) => ageSeconds)).toStrictEqual([
      FRESH_MS / 1000,
      (2 * FRESH_MS) / 1000,
    ]);
  });

  test("that cannot be refreshed is asked for ever more rarely, until it can", async () => {
    const { repository, clock, open, lines, takeAway } = await prepare(onTestFinished);
    const pins = await open();
    await repository.commit("1");
    await pinned(pins);
    await takeAway();
    const attempts = () => lines.filter(({ msg }) => msg === "tag kept at an earlier pin");
    await refresh(pins, clock);
    for (let seconds = 0; seconds < 3600; seconds += 1) {
      clock.nowMs += 1000;
      await pins.resolve(LATEST);
      await pins.settled();
    }
    const delays = attempts().map(({ retrySeconds }) => retrySeconds);
    expect(delays.slice(0, 9)).toStrictEqual([2, 4, 8, 16, 32, 64, 128, 256, 300]);
    expect(delays.length, `${delays.length} attempts in an hour`).toBeLessThan(22);
    await takeAway();
    const second = await repository.commit("2");
    clock.nowMs += 300_000;
    await pins.resolve(LATEST);
    await pins.settled();
    const found = await pinned(pins);
    expect(found.pin).toBe(second);
    expect(found.outdated).toBeUndefined();
  });

  test("of a branch that was deleted is no more, once the remote has said so", async () => {
    const { repository, clock, open, lines } = await prepare(onTestFinished);
    const pins = await open();
    const first = await repository.commit("1");
    repository.git("branch", "side");
    await pinned(pins, tagOf("side"));
    repository.git("branch", "--delete", "side");
    const stale = await refresh(pins, clock, tagOf("side"));
    assert(stale.kind === "pinned" && stale.pin === first);
    expect((await pins.resolve(tagOf("side"))).kind).toBe("unknown-tag");
    const restarted = await open();
    expect((await restarted.resolve(tagOf("side"))).kind).toBe("unknown-tag");
    expect(
      lines.some(({ msg, tag }) => msg === "tag is gone from the source" && tag === "side"),
    ).toBe(true);
    const second = await repository.commit("2");
    repository.git("branch", "side");
    clock.nowMs += ANSWER_LIFE_MS;
    expect((await pinned(restarted, tagOf("side"))).pin).toBe(second);
  });

  test("of another source is not taken for this one's", async () => {
    const { repository, open } = await prepare(onTestFinished);
    await repository.commit("1");
    await pinned(await open());
    const other = await open({ kind: "git", url: `${repository.path}-other` });
    expect((await other.resolve(LATEST)).kind).toBe("unreachable");
  });

  test("is none when the remote was never reached, and none when the tag is unknown", async () => {
    const { repository, clock, open } = await prepare(onTestFinished);
    await repository.commit("1");
    const gone = await open({ kind: "git", url: "/nowhere" });
    expect((await gone.resolve(LATEST)).kind).toBe("unreachable");
    const pins = await open();
    expect((await pins.resolve(tagOf("absent"))).kind).toBe("unknown-tag");
    const commit = repository.git("rev-parse", "HEAD");
    repository.git("tag", "absent");
    clock.nowMs += ANSWER_LIFE_MS;
    expect((await pinned(pins, tagOf("absent"))).pin).toBe(commit);
  });

  test("that moves is told of once, also when it moved while nothing ran", async () => {
    const { repository, clock, open, moves } = await prepare(onTestFinished);
    const first = await repository.commit("1");
    const pins = await open();
    await pinned(pins);
    await refresh(pins, clock);
    expect(moves).toStrictEqual([]);
    const second = await repository.commit("2");
    await refresh(pins, clock);
    await pinned(pins);
    expect(moves).toStrictEqual([`latest ${first} ${second}`]);
    const third = await repository.commit("3");
    await refresh(await open(), clock);
    expect(moves.slice(1)).toStrictEqual([`latest ${second} ${third}`]);
  });

  test("is known with its moves without anybody asking, also to the next start", async () => {
    const { repository, clock, open } = await prepare(onTestFinished);
    const first = await repository.commit("1");
    const pins = await open();
    expect(await pins.known(LATEST)).toBeUndefined();
    const firstMs = clock.nowMs;
    await pinned(pins);
    const second = await repository.commit("2");
    await refresh(pins, clock);
    const secondMs = clock.nowMs;
    const moves = [
      { pin: second, sinceMs: secondMs },
      { pin: first, sinceMs: firstMs },
    ];
    for (const each of [pins, await open()]) {
      expect(await each.known(LATEST)).toMatchObject({ pin: second });
      expect(await each.moves(LATEST)).toStrictEqual(moves);
    }
    await repository.commit("3");
    clock.nowMs += FRESH_MS;
    expect(await pins.known(LATEST)).toMatchObject({ pin: second });
    expect(await pins.moves(LATEST)).toStrictEqual(moves);
    await pins.settled();
    expect(await pins.known(tagOf(first))).toMatchObject({ pin: first, immutable: true });
  });

  test("that moves is told of before anyone gets it, however slow the disk is", async () => {
    const { repository, clock, open, moves, disk } = await prepare(onTestFinished);
    const first = await repository.commit("1");
    const pins = await open();
    await pinned(pins);
    const second = await repository.commit("2");
    const [reached, written] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    disk.beforeWriting = async () => {
      reached.resolve();
      await written.promise;
    };
    clock.nowMs += FRESH_MS;
    await pinned(pins);
    await reached.promise;
    expect((await pinned(pins)).pin).toBe(second);
    expect(moves).toStrictEqual([`latest ${first} ${second}`]);
    written.resolve();
    await pins.settled();
  });

  test("of a local path is the new one with the first pull after a change", async () => {
    const { open, moves, clock } = await prepare(onTestFinished);
    const path = join(await temporaryDirectory(onTestFinished), "set");
    await mkdir(path);
    await writeFile(join(path, "default.nix"), "1");
    const pins = await open({ kind: "path", path });
    const first = await pinned(pins);
    expect((await pinned(pins)).pin).toBe(first.pin);
    await writeFile(join(path, "default.nix"), "2");
    const [second] = await Promise.all([pinned(pins), pinned(pins)]);
    expect(moves).toStrictEqual([`latest ${first.pin} ${second.pin}`]);
    await rename(path, `${path}-away`);
    clock.nowMs += 1000;
    expect((await pinned(pins)).pin).toBe(second.pin);
    expect((await pinned(await open({ kind: "path", path }))).pin).toBe(second.pin);
  });
});

describe("a local path of many files", limit, () => {
  test("is read behind the answers, a second after the last time", async () => {
    const { open, clock } = await prepare(onTestFinished);
    const path = await temporaryDirectory(onTestFinished);
    const file = (index: number) => join(path, `${index}.nix`);
    await Promise.all(Array.from({ length: 1001 }, (_, index) => writeFile(file(index), "")));
    const pins = await open({ kind: "path", path });
    const first = await pinned(pins);
    await writeFile(file(0), "1");
    clock.nowMs += 999;
    expect((await pinned(pins)).pin).toBe(first.pin);
    await pins.settled();
    clock.nowMs += 1;
    expect((await pinned(pins)).pin).toBe(first.pin);
    await pins.settled();
    expect((await pinned(pins)).pin).not.toBe(first.pin);
  });
});

describe("a remote", limit, () => {
  test("that hangs delays no tag with a known pin, and is asked by one process", async () => {
    const { repository, clock, open, endProcesses } = await prepare(onTestFinished);
    const commit = await repository.commit("1");
    for (const branch of ["a", "b", "c"]) repository.git("branch", branch);
    const server = await startGitServer(onTestFinished, repository.path);
    const source: Source = { kind: "git", url: server.url };
    const tags = ["a", "b", "c", "latest"].map(tagOf);
    const before = await open(source);
    for (const tag of tags) await pinned(before, tag);
    server.hang();
    const pins = await open(source);
    for (let asked = 0; asked < 10; asked += 1) {
      clock.nowMs += 100 * FRESH_MS;
      for (const tag of tags) expect((await pinned(pins, tag)).pin).toBe(commit);
    }
    const first = pins.resolve(tagOf("never-seen"));
    await server.untilUnanswered(2);
    expect((await pinned(pins)).pin).toBe(commit);
    // One for the branches, one for the default branch.
    expect(server.unanswered).toBe(2);
    // Ends the processes that are still asking.
    endProcesses();
    expect((await first).kind).toBe("unreachable");
  });

  test("is asked once for any number of unknown tags", async () => {
    const { repository, clock, open, takeAway } = await prepare(onTestFinished);
    await repository.commit("1");
    const pins = await open();
    const unknown = (name: string) => pins.resolve(tagOf(name));
    const flood = Array.from({ length: 300 }, (_, index) => unknown(`no-${index}`));
    for (const result of await Promise.all(flood)) expect(result.kind).toBe("unknown-tag");
    // Only a second question could find out that the repository is gone.
    await takeAway();
    clock.nowMs += ANSWER_LIFE_MS - 1;
    expect((await unknown("one-more")).kind).toBe("unknown-tag");
    clock.nowMs += 1;
    expect((await unknown("another")).kind).toBe("unreachable");
  });

  test("gives many who ask at once one answer", async () => {
    const { repository, open } = await prepare(onTestFinished);
    await repository.commit("1");
    const pins = await open();
    const results = await Promise.all(Array.from({ length: 10 }, () => pins.resolve(LATEST)));
    for (const result of results) expect(result).toBe(results[0]);
  });
});
