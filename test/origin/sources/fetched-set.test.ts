// Pulls from a package set behind a forge, as clients see them: one download, whoever asks; the right
// class of error for each thing that can go wrong on the way; and none of it once the set is there.

import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import type { Source } from "../../../origin/sources/source.ts";
import { temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, REPOSITORY_PREFIX, startHouse } from "../house.ts";
import { TEST_NIX_CONFIG } from "../nix/fixture.ts";
import { createRepository, type Repository } from "./git-repository.ts";
import { type RepositoryServer, startRepositoryServer } from "./repository-server.ts";

const limit = { timeout: 240_000 };
const PADDING_BYTES = 3_000_000;

interface Setting {
  readonly repository: Repository;
  readonly forge: RepositoryServer;
  readonly commit: string;
  /**
   * An origin that has looked at `latest`, which is another commit, but of a git source; the next one is
   * a restart.
   */
  start(variables?: Readonly<Record<string, string>>, kind?: "nixpkgs" | "git"): Promise<House>;
}

/** The set of the house in a repository, padded by what no archive makes smaller. */
async function prepare(t: TestContext): Promise<Setting> {
  const repository = await createRepository(t);
  const before = await repository.commit("{ }");
  const set = await readFile(join(await plantSet(t), "default.nix"), "utf8");
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  await writeFile(join(repository.path, "padding"), cipher.update(Buffer.alloc(PADDING_BYTES)));
  const commit = await repository.commit(set);
  const forge = await startRepositoryServer(t, repository);
  const statePath = await temporaryDirectory(t);
  let last: House | undefined;
  return {
    ...{ repository, forge, commit },
    async start(variables = {}, kind = "nixpkgs") {
      await last?.origin.close();
      // Of its own for each start: what was fetched must not depend on what Nix remembers.
      const cache = await temporaryDirectory(t);
      const { url } = forge;
      const source: Source =
        kind === "git" ? { kind, url } : { kind: "nixpkgs", url, channel: before };
      const env = {
        XDG_CACHE_HOME: cache,
        NIX_CONFIG: `${TEST_NIX_CONFIG}download-attempts = 1\n`,
      };
      last = await startHouse(t, "/nonexistent", statePath, variables, { source, env });
      return last;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly message: string;
  readonly reason: string | undefined;
}

async function ask(house: House, name: string, tag: string): Promise<Answer> {
  const response = await house.request(`/v2/${REPOSITORY_PREFIX}${name}/manifests/${tag}`);
  const text = await response.text();
  const [error] = (JSON.parse(text) as { errors?: readonly Failure[] }).errors ?? [];
  return {
    status: response.status,
    retryAfter: response.headers.get("Retry-After"),
    message: error?.message ?? "",
    reason: error?.detail?.[0]?.reason,
  };
}

interface Failure {
  readonly message: string;
  readonly detail?: readonly { readonly reason: string }[];
}

function linesSaying(house: House, msg: string) {
  return house.lines.filter((line) => line.msg === msg);
}

async function pull(house: House, name: string, tag: string): Promise<void> {
  const { status, message } = await ask(house, name, tag);
  assert.equal(status, 200, message);
}

function downloads({ requests }: RepositoryServer, commit: string): number {
  return requests.filter((path) => path.includes(`/archive/${commit}`)).length;
}

describe("a package set behind a forge", limit, () => {
  test("is fetched once, however many ask for it at once", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const names = ["hello", "hullo", "heavy", "tools", "sh", "nested.inner"];
    const pulls = Array.from({ length: 20 }, (_, index) =>
      ask(house, names[index % 6] ?? "", commit),
    );
    await forge.untilStalled();
    await forge.behave({ kind: "works" });
    for (const { status, message } of await Promise.all(pulls)) assert.equal(status, 200, message);
    assert.equal(downloads(forge, commit), 1);
  });

  test("is never asked for again: not for another name, nor after a restart, nor with the forge down", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const first = await start();
    await pull(first, "hello", commit);
    await forge.behave({ kind: "down" });
    await pull(first, "hullo", commit);
    const second = await start();
    await pull(second, "heavy", commit);
    assert.equal(downloads(forge, commit), 1);
    // That the set is all that was asked for, and the network no more.
    assert.deepEqual(linesSaying(second, "fetching the package set"), []);
  });

  test("in git is not asked for again either, not even by a start", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const first = await start({}, "git");
    assert.equal((await first.pull("hello")).pin, commit);
    await forge.behave({ kind: "down" });
    const second = await start({}, "git");
    assert.equal((await second.pull("hullo")).pin, commit);
    assert.equal(forge.gitQuestions.filter((each) => each.includes("deepen 1")).length, 1);
  });

  const outages: readonly [
    title: string,
    broken: Parameters<RepositoryServer["behave"]>[0],
    said: RegExp,
  ][] = [
    ["is down", { kind: "down" }, /unable to download 'http:\/\/127\.0\.0\.1:\d+\/set\/archive\//],
    ["answers 500", { kind: "status", status: 500 }, /archive\/[^']*': HTTP error 500/],
    ["answers 429", { kind: "status", status: 429 }, /archive\/[^']*': HTTP error 429/],
    ["answers 403", { kind: "status", status: 403 }, /archive\/[^']*': HTTP error 403/],
    ["sends no archive", { kind: "garbles" }, /127\.0\.0\.1:\d+\/set at [0-9a-f]{40}: .*archive/i],
    ["hangs up each time", { kind: "cuts", times: 99 }, /127\.0\.0\.1:\d+\/set/],
  ];
  for (const [title, broken, said] of outages) {
    test(`whose forge ${title} is 503 until it does not, and no failure of a package`, async (t) => {
      const { forge, commit, start } = await prepare(t);
      const house = await start();
      await forge.behave(broken);
      const refused = await ask(house, "hello/hullo", commit);
      assert.equal(refused.status, 503, refused.message);
      assert.equal(refused.reason, "unreachable");
      assert.equal(refused.retryAfter, "30");
      assert.match(refused.message, said);
      assert.doesNotMatch(refused.message, /evaluated|<p>|response body/);
      assert.equal(linesSaying(house, "the package set was not fetched").length, 1);
      await forge.behave({ kind: "works" });
      await pull(house, "hello/hullo", commit);
    });
  }

  test("that is cut in the middle is begun again, for the same pull", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start();
    await forge.behave({ kind: "cuts", times: 2 });
    await pull(house, "hello", commit);
    assert.equal(downloads(forge, commit), 3);
  });

  test("has its own deadline, after which it is 503 and not begun again by itself", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start({ NIXPORT_FETCH_DEADLINE: "1" });
    await forge.behave({ kind: "stalls" });
    const refused = await ask(house, "hello", commit);
    assert.equal(refused.status, 503);
    assert.equal(refused.reason, "unreachable");
    assert.match(
      refused.message,
      /set at [0-9a-f]{40}: not fetched in 1 s; \d{6,} bytes had come$/,
    );
    assert.equal(downloads(forge, commit), 1);
  });

  test("is told of to whoever waits, by how much has come", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start({ NIXPORT_HOLD: "1" });
    await forge.behave({ kind: "stalls" });
    const held = await ask(house, "hello", commit);
    assert.equal(held.status, 503);
    assert.equal(held.reason, "building");
    assert.match(
      held.message,
      /^not ready yet: fetching the package set: [12] of 3 MB; try again$/,
    );
    await forge.behave({ kind: "works" });
    let answer = held;
    while (answer.reason === "building") answer = await ask(house, "hello", commit);
    assert.equal(answer.status, 200, answer.message);
    assert.equal(downloads(forge, commit), 1);
  });

  test("is fetched to the end though whoever asked for it leaves", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const left = new AbortController();
    const path = `/v2/${REPOSITORY_PREFIX}hello/manifests/${commit}`;
    const abandoned = house.request(path, { signal: left.signal });
    await forge.untilStalled();
    left.abort();
    await assert.rejects(abandoned);
    await forge.behave({ kind: "works" });
    await pull(house, "hullo", commit);
    assert.equal(downloads(forge, commit), 1);
  });

  test("that is being fetched ends with the origin, and leaves nothing behind", async (t) => {
    const { forge, commit, start } = await prepare(t);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const ended = ask(house, "hello", commit);
    await forge.untilStalled();
    await house.origin.close();
    assert.equal((await ended).status, 503);
    await forge.behave({ kind: "works" });
    await pull(await start(), "hello", commit);
  });

  test("has no commit that its forge has not: 404, in words", async (t) => {
    const { forge, start } = await prepare(t);
    const house = await start();
    const unknown = "0".repeat(40);
    const refused = await ask(house, "hello", unknown);
    assert.equal(refused.status, 404);
    assert.equal(refused.reason, "unknown-tag");
    assert.equal(refused.message, `no such revision: ${forge.url} at ${unknown}`);
    assert.deepEqual(
      house.lines.filter(({ level }) => level === 50),
      [],
    );
    assert.equal(downloads(forge, unknown), 1);
  });

  test("has any commit of its forge's as a tag, each with a tree of its own", async (t) => {
    const { forge, commit, repository, start } = await prepare(t);
    const house = await start();
    const other = await repository.commit("{ }");
    assert.match((await ask(house, "hello", other)).message, /^no package hello$/m);
    assert.equal((await ask(house, "hello", commit)).status, 200);
    assert.deepEqual([downloads(forge, commit), downloads(forge, other)], [1, 1]);
  });
});
