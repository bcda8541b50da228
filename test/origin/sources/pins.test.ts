// What is remembered of tags: answered at once, asked for again behind the answer.

import assert from "node:assert/strict";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { ANSWER_LIFE_MS } from "../../../origin/sources/git-remote.ts";
import { type Pins, rememberPins } from "../../../origin/sources/pins.ts";
import type { Source } from "../../../origin/sources/source.ts";
import type { BlobStore } from "../../../origin/storage/blob-store.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { tagOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";
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

async function prepare(t: TestContext): Promise<Setting> {
  const repository = await createRepository(t);
  const root = await temporaryDirectory(t);
  const clock = { nowMs: 1_000_000 };
  const { log, lines } = readableLog();
  const moves: string[] = [];
  const disk = { beforeWriting: async () => {} };
  const ended = new AbortController();
  t.after(() => ended.abort());
  const places = [repository.path, `${repository.path}-away`];
  const takeAway = async () => {
    const [from = "", to = ""] = places;
    await rename(from, to);
    places.reverse();
  };
  t.after(async () => {
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
  test("is answered at once when it is stale, and has moved for the next who asks", async (t) => {
    const { repository, clock, open } = await prepare(t);
    const pins = await open();
    const first = await repository.commit("1");
    assert.equal((await pinned(pins, MAIN)).pin, first);
    const second = await repository.commit("2");
    clock.nowMs += FRESH_MS - 1;
    assert.equal((await pinned(pins, MAIN)).pin, first);
    await pins.settled();
    assert.equal((await pinned(pins, MAIN)).pin, first);
    clock.nowMs += 1;
    assert.equal((await pinned(pins, MAIN)).pin, first);
    await pins.settled();
    const moved = await pinned(pins, MAIN);
    assert.equal(moved.pin, second);
    assert.equal(moved.resolvedAtMs, clock.nowMs);
  });

  test("is answered at once after a restart, however old", async (t) => {
    const { repository, clock, open } = await prepare(t);
    const first = await repository.commit("1");
    await pinned(await open(), MAIN);
    const second = await repository.commit("2");
    clock.nowMs += 1000 * FRESH_MS;
    const pins = await open();
    assert.equal((await pinned(pins, MAIN)).pin, first);
    await pins.settled();
    assert.equal((await pinned(pins, MAIN)).pin, second);
  });

  test("of a commit is never asked for, whatever becomes of the remote", async (t) => {
    const { repository, clock, open, takeAway } = await prepare(t);
    const pins = await open();
    const commit = await repository.commit("1");
    await takeAway();
    const first = await pinned(pins, tagOf(commit));
    assert.equal(first.pin, commit);
    clock.nowMs += 1_000_000 * FRESH_MS;
    assert.equal((await pinned(pins, tagOf(commit))).pin, commit);
    assert.equal((await pinned(await open(), tagOf(commit))).pin, commit);
  });

  test("is kept when the remote is gone, also across a restart, and says so", async (t) => {
    const { repository, clock, open, lines, takeAway } = await prepare(t);
    const pins = await open();
    await repository.commit("1");
    const before = await pinned(pins);
    await takeAway();
    for (const opened of [pins, await open()]) {
      await refresh(opened, clock);
      const { outdated, ...kept } = await pinned(opened);
      assert.deepEqual(kept, before);
      assert.match(outdated ?? "", /does not appear to be a git repository/);
    }
    const kept = lines.filter(({ msg }) => msg === "tag kept at an earlier pin");
    assert.deepEqual(
      kept.map(({ ageSeconds }) => ageSeconds),
      [FRESH_MS / 1000, (2 * FRESH_MS) / 1000],
    );
  });

  test("that cannot be refreshed is asked for ever more rarely, until it can", async (t) => {
    const { repository, clock, open, lines, takeAway } = await prepare(t);
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
    assert.deepEqual(delays.slice(0, 9), [2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert(delays.length < 22, `${delays.length} attempts in an hour`);
    await takeAway();
    const second = await repository.commit("2");
    clock.nowMs += 300_000;
    await pins.resolve(LATEST);
    await pins.settled();
    const found = await pinned(pins);
    assert.equal(found.pin, second);
    assert.equal(found.outdated, undefined);
  });

  test("of a branch that was deleted is no more, once the remote has said so", async (t) => {
    const { repository, clock, open, lines } = await prepare(t);
    const pins = await open();
    const first = await repository.commit("1");
    repository.git("branch", "side");
    await pinned(pins, tagOf("side"));
    repository.git("branch", "--delete", "side");
    const stale = await refresh(pins, clock, tagOf("side"));
    assert(stale.kind === "pinned" && stale.pin === first);
    assert.equal((await pins.resolve(tagOf("side"))).kind, "unknown-tag");
    const restarted = await open();
    assert.equal((await restarted.resolve(tagOf("side"))).kind, "unknown-tag");
    assert(lines.some(({ msg, tag }) => msg === "tag is gone from the source" && tag === "side"));
    const second = await repository.commit("2");
    repository.git("branch", "side");
    clock.nowMs += ANSWER_LIFE_MS;
    assert.equal((await pinned(restarted, tagOf("side"))).pin, second);
  });

  test("of another source is not taken for this one's", async (t) => {
    const { repository, open } = await prepare(t);
    await repository.commit("1");
    await pinned(await open());
    const other = await open({ kind: "git", url: `${repository.path}-other` });
    assert.equal((await other.resolve(LATEST)).kind, "unreachable");
  });

  test("is none when the remote was never reached, and none when the tag is unknown", async (t) => {
    const { repository, clock, open } = await prepare(t);
    await repository.commit("1");
    const gone = await open({ kind: "git", url: "/nowhere" });
    assert.equal((await gone.resolve(LATEST)).kind, "unreachable");
    const pins = await open();
    assert.equal((await pins.resolve(tagOf("absent"))).kind, "unknown-tag");
    const commit = repository.git("rev-parse", "HEAD");
    repository.git("tag", "absent");
    clock.nowMs += ANSWER_LIFE_MS;
    assert.equal((await pinned(pins, tagOf("absent"))).pin, commit);
  });

  test("that moves is told of once, also when it moved while nothing ran", async (t) => {
    const { repository, clock, open, moves } = await prepare(t);
    const first = await repository.commit("1");
    const pins = await open();
    await pinned(pins);
    await refresh(pins, clock);
    assert.deepEqual(moves, []);
    const second = await repository.commit("2");
    await refresh(pins, clock);
    await pinned(pins);
    assert.deepEqual(moves, [`latest ${first} ${second}`]);
    const third = await repository.commit("3");
    await refresh(await open(), clock);
    assert.deepEqual(moves.slice(1), [`latest ${second} ${third}`]);
  });

  test("that moves is told of before anyone gets it, however slow the disk is", async (t) => {
    const { repository, clock, open, moves, disk } = await prepare(t);
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
    assert.equal((await pinned(pins)).pin, second);
    assert.deepEqual(moves, [`latest ${first} ${second}`]);
    written.resolve();
    await pins.settled();
  });

  test("of a local path is the new one with the first pull after a change", async (t) => {
    const { open, moves, clock } = await prepare(t);
    const path = join(await temporaryDirectory(t), "set");
    await mkdir(path);
    await writeFile(join(path, "default.nix"), "1");
    const pins = await open({ kind: "path", path });
    const first = await pinned(pins);
    assert.equal((await pinned(pins)).pin, first.pin);
    await writeFile(join(path, "default.nix"), "2");
    const [second] = await Promise.all([pinned(pins), pinned(pins)]);
    assert.deepEqual(moves, [`latest ${first.pin} ${second.pin}`]);
    await rename(path, `${path}-away`);
    clock.nowMs += 1000;
    assert.equal((await pinned(pins)).pin, second.pin);
    assert.equal((await pinned(await open({ kind: "path", path }))).pin, second.pin);
  });
});

describe("a local path of many files", limit, () => {
  test("is read behind the answers, a second after the last time", async (t) => {
    const { open, clock } = await prepare(t);
    const path = await temporaryDirectory(t);
    const file = (index: number) => join(path, `${index}.nix`);
    await Promise.all(Array.from({ length: 1001 }, (_, index) => writeFile(file(index), "")));
    const pins = await open({ kind: "path", path });
    const first = await pinned(pins);
    await writeFile(file(0), "1");
    clock.nowMs += 999;
    assert.equal((await pinned(pins)).pin, first.pin);
    await pins.settled();
    clock.nowMs += 1;
    assert.equal((await pinned(pins)).pin, first.pin);
    await pins.settled();
    assert.notEqual((await pinned(pins)).pin, first.pin);
  });
});

describe("a remote", limit, () => {
  test("that hangs delays no tag with a known pin, and is asked by one process", async (t) => {
    const { repository, clock, open, endProcesses } = await prepare(t);
    const commit = await repository.commit("1");
    for (const branch of ["a", "b", "c"]) repository.git("branch", branch);
    const server = await startGitServer(t, repository.path);
    const source: Source = { kind: "git", url: server.url };
    const tags = ["a", "b", "c", "latest"].map(tagOf);
    const before = await open(source);
    for (const tag of tags) await pinned(before, tag);
    server.hang();
    const pins = await open(source);
    for (let asked = 0; asked < 10; asked += 1) {
      clock.nowMs += 100 * FRESH_MS;
      for (const tag of tags) assert.equal((await pinned(pins, tag)).pin, commit);
    }
    const first = pins.resolve(tagOf("never-seen"));
    await server.untilUnanswered(2);
    assert.equal((await pinned(pins)).pin, commit);
    // One for the branches, one for the default branch.
    assert.equal(server.unanswered, 2);
    // Ends the processes that are still asking.
    endProcesses();
    assert.equal((await first).kind, "unreachable");
  });

  test("is asked once for any number of unknown tags", async (t) => {
    const { repository, clock, open, takeAway } = await prepare(t);
    await repository.commit("1");
    const pins = await open();
    const unknown = (name: string) => pins.resolve(tagOf(name));
    const flood = Array.from({ length: 300 }, (_, index) => unknown(`no-${index}`));
    for (const result of await Promise.all(flood)) assert.equal(result.kind, "unknown-tag");
    // Only a second question could find out that the repository is gone.
    await takeAway();
    clock.nowMs += ANSWER_LIFE_MS - 1;
    assert.equal((await unknown("one-more")).kind, "unknown-tag");
    clock.nowMs += 1;
    assert.equal((await unknown("another")).kind, "unreachable");
  });

  test("gives many who ask at once one answer", async (t) => {
    const { repository, open } = await prepare(t);
    await repository.commit("1");
    const pins = await open();
    const results = await Promise.all(Array.from({ length: 10 }, () => pins.resolve(LATEST)));
    for (const result of results) assert.equal(result, results[0]);
  });
});
