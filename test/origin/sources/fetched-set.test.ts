// Pulls from a package set behind a forge, as clients see them: one download, whoever asks; the right
// class of error for each thing that can go wrong on the way; and none of it once the set is there.

import { createCipheriv } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Source } from "../../../origin/sources/source.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
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
async function prepare(onEnd: Ending): Promise<Setting> {
  const repository = await createRepository(onEnd);
  const before = await repository.commit("{ }");
  const set = await readFile(join(await plantSet(onEnd), "default.nix"), "utf8");
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  await writeFile(join(repository.path, "padding"), cipher.update(Buffer.alloc(PADDING_BYTES)));
  const commit = await repository.commit(set);
  const forge = await startRepositoryServer(onEnd, repository);
  const statePath = await temporaryDirectory(onEnd);
  let last: House | undefined;
  return {
    ...{ repository, forge, commit },
    async start(variables = {}, kind = "nixpkgs") {
      await last?.origin.close();
      // Of its own for each start: what was fetched must not depend on what Nix remembers.
      const cache = await temporaryDirectory(onEnd);
      const { url } = forge;
      const source: Source =
        kind === "git" ? { kind, url } : { kind: "nixpkgs", url, channel: before };
      const env = {
        XDG_CACHE_HOME: cache,
        NIX_CONFIG: `${TEST_NIX_CONFIG}download-attempts = 1\n`,
      };
      last = await startHouse(onEnd, "/nonexistent", statePath, variables, { source, env });
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
  expect(status, message).toBe(200);
}

function downloads({ requests }: RepositoryServer, commit: string): number {
  return requests.filter((path) => path.includes(`/archive/${commit}`)).length;
}

describe("a package set behind a forge", limit, () => {
  test("is fetched once, however many ask for it at once", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const names = ["hello", "hullo", "heavy", "tools", "sh", "nested.inner"];
    const pulls = Array.from({ length: 20 }, (_, index) =>
      ask(house, names[index % 6] ?? "", commit),
    );
    await forge.untilStalled();
    await forge.behave({ kind: "works" });
    for (const { status, message } of await Promise.all(pulls)) expect(status, message).toBe(200);
    expect(downloads(forge, commit)).toBe(1);
  });

  test("is never asked for again: not for another name, nor after a restart, nor with the forge down", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const first = await start();
    await pull(first, "hello", commit);
    await forge.behave({ kind: "down" });
    await pull(first, "hullo", commit);
    const second = await start();
    await pull(second, "heavy", commit);
    expect(downloads(forge, commit)).toBe(1);
    // That the set is all that was asked for, and the network no more.
    expect(linesSaying(second, "fetching the package set")).toStrictEqual([]);
  });

  test("in git is not asked for again either, not even by a start", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const first = await start({}, "git");
    expect((await first.pull("hello")).pin).toBe(commit);
    await forge.behave({ kind: "down" });
    const second = await start({}, "git");
    expect((await second.pull("hullo")).pin).toBe(commit);
    expect(forge.gitQuestions.filter((each) => each.includes("deepen 1"))).toHaveLength(1);
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
  test.for(outages)(
    "whose forge %s is 503 until it does not, and no failure of a package",
    async ([, broken, said]) => {
      const { forge, commit, start } = await prepare(onTestFinished);
      const house = await start();
      await forge.behave(broken);
      const refused = await ask(house, "hello/hullo", commit);
      expect(refused.status, refused.message).toBe(503);
      expect(refused.reason).toBe("unreachable");
      expect(refused.retryAfter).toBe("30");
      expect(refused.message).toMatch(said);
      expect(refused.message).not.toMatch(/evaluated|<p>|response body/);
      expect(linesSaying(house, "the package set was not fetched")).toHaveLength(1);
      await forge.behave({ kind: "works" });
      await pull(house, "hello/hullo", commit);
    },
  );

  test("that is cut in the middle is begun again, for the same pull", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start();
    await forge.behave({ kind: "cuts", times: 2 });
    await pull(house, "hello", commit);
    expect(downloads(forge, commit)).toBe(3);
  });

  test("has its own deadline, after which it is 503 and not begun again by itself", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start({ NIXPORT_FETCH_DEADLINE: "1" });
    await forge.behave({ kind: "stalls" });
    const refused = await ask(house, "hello", commit);
    expect(refused.status).toBe(503);
    expect(refused.reason).toBe("unreachable");
    expect(refused.message).toMatch(
      /set at [0-9a-f]{40}: not fetched in 1 s; \d{6,} bytes had come$/,
    );
    expect(downloads(forge, commit)).toBe(1);
  });

  test("is told of to whoever waits, by how much has come", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start({ NIXPORT_HOLD: "1" });
    await forge.behave({ kind: "stalls" });
    const held = await ask(house, "hello", commit);
    expect(held.status).toBe(503);
    expect(held.reason).toBe("building");
    expect(held.message).toMatch(
      /^not ready yet: fetching the package set: [12] of 3 MB; try again; see http:\/\/127\.0\.0\.1:\d+\/i\/\S+$/,
    );
    await forge.behave({ kind: "works" });
    let answer = held;
    while (answer.reason === "building") answer = await ask(house, "hello", commit);
    expect(answer.status, answer.message).toBe(200);
    expect(downloads(forge, commit)).toBe(1);
  });

  test("is fetched to the end though whoever asked for it leaves", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const left = new AbortController();
    const path = `/v2/${REPOSITORY_PREFIX}hello/manifests/${commit}`;
    const abandoned = house.request(path, { signal: left.signal });
    await forge.untilStalled();
    left.abort();
    await expect(abandoned).rejects.toThrow();
    await forge.behave({ kind: "works" });
    await pull(house, "hullo", commit);
    expect(downloads(forge, commit)).toBe(1);
  });

  test("that is being fetched ends with the origin, and leaves nothing behind", async () => {
    const { forge, commit, start } = await prepare(onTestFinished);
    const house = await start();
    await forge.behave({ kind: "stalls" });
    const ended = ask(house, "hello", commit);
    await forge.untilStalled();
    await house.origin.close();
    expect((await ended).status).toBe(503);
    await forge.behave({ kind: "works" });
    await pull(await start(), "hello", commit);
  });

  test("has no commit that its forge has not: 404, in words", async () => {
    const { forge, start } = await prepare(onTestFinished);
    const house = await start();
    const unknown = "0".repeat(40);
    const refused = await ask(house, "hello", unknown);
    expect(refused.status).toBe(404);
    expect(refused.reason).toBe("unknown-tag");
    expect(refused.message).toBe(`no such revision: ${forge.url} at ${unknown}`);
    expect(house.lines.filter(({ level }) => level === 50)).toStrictEqual([]);
    expect(downloads(forge, unknown)).toBe(1);
  });

  test("has any commit of its forge's as a tag, each with a tree of its own", async () => {
    const { forge, commit, repository, start } = await prepare(onTestFinished);
    const house = await start();
    const other = await repository.commit("{ }");
    expect((await ask(house, "hello", other)).message).toMatch(/^no package hello$/m);
    expect((await ask(house, "hello", commit)).status).toBe(200);
    expect([downloads(forge, commit), downloads(forge, other)]).toStrictEqual([1, 1]);
  });
});
