// What is remembered of tags: for how long, for whom, and when the remote is gone.

import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { describe, type TestContext, test } from "node:test";
import { type Pins, rememberPins } from "../../../origin/sources/pins.ts";
import type { Source } from "../../../origin/sources/source.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { tagOf } from "../../registry/fixture.ts";
import { readableLog, temporaryDirectory } from "../fixture.ts";
import { createRepository, GIT_ENV, type Repository } from "./git-repository.ts";

const limit = { timeout: 30_000 };
const FRESH_MS = 1000;
const LATEST = tagOf("latest");

interface Setting {
  readonly repository: Repository;
  readonly clock: { nowMs: number };
  /** As after a restart: nothing in memory, the same storage. */
  open(source?: Source): Promise<Pins>;
  /** `<tag> <from> <to>` for each pin that moved. */
  readonly moves: readonly string[];
  readonly lines: ReturnType<typeof readableLog>["lines"];
}

async function prepare(t: TestContext): Promise<Setting> {
  const repository = await createRepository(t);
  const root = await temporaryDirectory(t);
  const clock = { nowMs: 1_000_000 };
  const { log, lines } = readableLog();
  const moves: string[] = [];
  return {
    ...{ repository, clock, lines, moves },
    async open(source = { kind: "git", url: repository.path }) {
      const store = await openFilesystemStore(root);
      const options = { source, store, log, env: GIT_ENV, freshMs: FRESH_MS };
      return rememberPins({
        ...options,
        now: () => clock.nowMs,
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

describe("a pin", limit, () => {
  test("stays while it is fresh, and moves with the branch once it is not", async (t) => {
    const { repository, clock, open } = await prepare(t);
    const pins = await open();
    const first = await repository.commit("1");
    assert.equal((await pinned(pins)).pin, first);
    const second = await repository.commit("2");
    clock.nowMs += FRESH_MS - 1;
    assert.equal((await pinned(pins)).pin, first);
    clock.nowMs += 1;
    const moved = await pinned(pins);
    assert.equal(moved.pin, second);
    assert.equal(moved.resolvedAtMs, clock.nowMs);
  });

  test("of a commit is never asked for again", async (t) => {
    const { repository, clock, open } = await prepare(t);
    const pins = await open();
    const commit = await repository.commit("1");
    const first = await pinned(pins, tagOf(commit));
    clock.nowMs += 1_000_000 * FRESH_MS;
    assert.deepEqual(await pinned(pins, tagOf(commit)), first);
  });

  test("is kept when the remote is gone, also across a restart", async (t) => {
    const { repository, clock, open, lines } = await prepare(t);
    const pins = await open();
    await repository.commit("1");
    const before = await pinned(pins);
    await rename(repository.path, `${repository.path}-away`);
    t.after(() => rename(`${repository.path}-away`, repository.path));
    clock.nowMs += 10 * FRESH_MS;
    assert.deepEqual(await pinned(pins), before);
    assert.deepEqual(await pinned(await open()), before);
    assert(lines.some(({ msg }) => msg === "tag kept at an earlier pin"));
  });

  test("of another source is not taken for this one's", async (t) => {
    const { repository, open } = await prepare(t);
    await repository.commit("1");
    await pinned(await open());
    const other = await open({ kind: "git", url: `${repository.path}-other` });
    assert.equal((await other.resolve(LATEST)).kind, "unreachable");
  });

  test("is none when the remote was never reached, and none when the tag is unknown", async (t) => {
    const { repository, open } = await prepare(t);
    await repository.commit("1");
    const gone = await open({ kind: "git", url: "/nowhere" });
    assert.equal((await gone.resolve(LATEST)).kind, "unreachable");
    const pins = await open();
    assert.equal((await pins.resolve(tagOf("absent"))).kind, "unknown-tag");
    const commit = repository.git("rev-parse", "HEAD");
    repository.git("tag", "absent");
    assert.equal((await pinned(pins, tagOf("absent"))).pin, commit);
  });

  test("that moves is told of once, also when it moved while nothing ran", async (t) => {
    const { repository, clock, open, moves } = await prepare(t);
    const first = await repository.commit("1");
    const pins = await open();
    await pinned(pins);
    clock.nowMs += FRESH_MS;
    await pinned(pins);
    assert.deepEqual(moves, []);
    const second = await repository.commit("2");
    clock.nowMs += FRESH_MS;
    await pinned(pins);
    await pinned(pins);
    assert.deepEqual(moves, [`latest ${first} ${second}`]);
    const third = await repository.commit("3");
    clock.nowMs += FRESH_MS;
    await pinned(await open());
    assert.deepEqual(moves.slice(1), [`latest ${second} ${third}`]);
  });

  test("that many ask for at once is one answer", async (t) => {
    const { repository, open } = await prepare(t);
    await repository.commit("1");
    const pins = await open();
    const results = await Promise.all(Array.from({ length: 10 }, () => pins.resolve(LATEST)));
    for (const result of results) assert.equal(result, results[0]);
  });
});
