// Trees as evaluations get them: by which way each kind of source is fetched, how they are kept, and
// when they go. What a client sees of it: fetched-set.test.ts.

import { readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import type { PinnedSource } from "../../../origin/nix/pinned-source.ts";
import { GIT_MISSING } from "../../../origin/sources/git-process.ts";
import type { PinnedTag } from "../../../origin/sources/pin-memory.ts";
import { type ObtainedTree, openTrees, type TreesOptions } from "../../../origin/sources/trees.ts";
import { ALWAYS, requestDemand } from "../../../origin/waiting/demand.ts";
import { configuredPin, type Pin } from "../../../registry/naming/pin.ts";
import { pinOf } from "../../registry/fixture.ts";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";
import { until } from "../images/gated-set.ts";
import { derivation, evaluateLookup, SYSTEM, TEST_NIX_CONFIG, testNix } from "../nix/fixture.ts";
import { createRepository, GIT_ENV, type Repository } from "./git-repository.ts";
import { type RepositoryServer, startRepositoryServer } from "./repository-server.ts";

const limit = { timeout: 60_000 };
const DAY_MS = 86_400_000;

interface Setting {
  readonly nix: NixTool;
  readonly repository: Repository;
  readonly forge: RepositoryServer;
  /** Every program of Nix that was started. */
  readonly started: string[];
  readonly clock: { nowMs: number };
  readonly folder: string;
  /** What the tags that are remembered have. */
  readonly inUse: Set<Pin>;
  open(over?: Partial<TreesOptions>): ReturnType<typeof openTrees>;
}

async function prepare(onEnd: Ending): Promise<Setting> {
  const repository = await createRepository(onEnd);
  const forge = await startRepositoryServer(onEnd, repository);
  const folder = join(await temporaryDirectory(onEnd), "sources");
  const started: string[] = [];
  const cache = await temporaryDirectory(onEnd);
  const nix = await testNix({
    env: { XDG_CACHE_HOME: cache, NIX_CONFIG: `${TEST_NIX_CONFIG}download-attempts = 1\n` },
    onSpawn: (program) => started.push(program),
  });
  started.length = 0;
  const clock = { nowMs: Date.now() };
  const inUse = new Set<Pin>();
  const ended = new AbortController();
  onEnd(() => ended.abort());
  return {
    ...{ nix, repository, forge, started, clock, folder, inUse },
    open: (over = {}) =>
      openTrees({
        ...{ nix, folder, env: GIT_ENV, deadlineMs: limit.timeout, maxQueue: 10 },
        ...{ keepMs: DAY_MS, maxTrees: 10, pinsOfTags: async () => inUse, log: readableLog().log },
        ...{ now: () => clock.nowMs, signal: ended.signal },
        ...over,
      }),
  };
}

function tagged(source: PinnedSource, pin: string, immutable = false): PinnedTag {
  return { kind: "pinned", pin: pinOf(pin), source, resolvedAtMs: 0, immutable };
}

const gitTag = (url: string, commit: string, immutable = true) =>
  tagged({ kind: "git", url, commit }, commit, immutable);
const archiveTag = (url: string, commit: string) =>
  tagged({ kind: "nixpkgs", url, commit }, commit);

function thereOf(obtained: ObtainedTree): PinnedSource {
  assert(obtained.kind === "there", JSON.stringify(obtained));
  return obtained.source;
}

/** A set with one package, made anew for each test by its salt. */
const setOf = (salt: string) =>
  `{ system }: { hello = ${derivation("hello-1.0", "echo > $out", `salt = "${salt}";`)}; }`;

describe("the tree of a commit in git", limit, () => {
  test("is fetched without the history, wherever the commit is", async () => {
    const { repository, forge, open, nix } = await prepare(onTestFinished);
    const commits = [await repository.commit(setOf("1")), await repository.commit(setOf("2"))];
    repository.git("checkout", "--quiet", "-b", "side");
    commits.push(await repository.commit(setOf("3")));
    repository.git("checkout", "--quiet", "main");
    const trees = await open();
    for (const commit of commits) {
      forge.gitQuestions.length = 0;
      const source = thereOf(await trees.obtain(gitTag(forge.url, commit), ALWAYS));
      expect(forge.gitQuestions.join("\n")).toMatch(/deepen 1/);
      // The same derivation as of the repository itself, which Nix reads whole.
      const plain = { kind: "git", url: repository.path, commit } as const;
      const [here, there] = [
        await evaluateLookup(nix, source, ["hello"]),
        await evaluateLookup(nix, plain, ["hello"]),
      ];
      expect(here.lookups[0]?.kind).toBe("found");
      expect(here).toStrictEqual(there);
    }
  });

  test("is fetched with the history where a server gives nothing else", async () => {
    const { repository, forge, open, nix } = await prepare(onTestFinished);
    const first = await repository.commit(setOf("1"));
    await repository.commit(setOf("2"));
    forge.serveFiles();
    const source = thereOf(await (await open()).obtain(gitTag(forge.url, first), ALWAYS));
    const { lookups } = await evaluateLookup(nix, source, ["hello"]);
    expect(lookups[0]?.kind).toBe("found");
    expect(forge.gitQuestions).toStrictEqual([]);
  });

  test("leaves out what is not to be exported, as Nix's own fetchers do", async () => {
    const { repository, forge, open } = await prepare(onTestFinished);
    await writeFile(join(repository.path, ".gitattributes"), "kept-back export-ignore\n");
    await writeFile(join(repository.path, "kept-back"), "");
    const commit = await repository.commit(setOf("1"));
    const trees = await open();
    for (const tag of [gitTag(forge.url, commit), archiveTag(forge.url, commit)]) {
      const { files = "" } = thereOf(await trees.obtain(tag, ALWAYS));
      expect(await readdir(files)).toStrictEqual([".gitattributes", "default.nix"]);
    }
  });

  test("is not there for a commit that is not, which is an unknown tag, or a source that lies", async () => {
    const { repository, forge, open } = await prepare(onTestFinished);
    await repository.commit(setOf("1"));
    const trees = await open();
    const unknown = "0".repeat(40);
    const asked = await trees.obtain(gitTag(forge.url, unknown), ALWAYS);
    assert(asked.kind === "unknown-tag", JSON.stringify(asked));
    expect(asked.message).toBe(`no such revision: ${forge.url} at ${unknown}`);
    const latest = await trees.obtain(gitTag(forge.url, unknown, false), ALWAYS);
    expect(latest.kind).toBe("unreachable");
  });

  const outages: readonly [
    title: string,
    broken: Parameters<RepositoryServer["behave"]>[0],
    said: RegExp,
  ][] = [
    ["is down", { kind: "down" }, /set at [0-9a-f]{40}: unable to access .*Failed to connect/],
    ["answers 500", { kind: "status", status: 500 }, /unable to access .*error: 500/],
  ];
  test.for(outages)("is out of reach while the server %s", async ([, broken, said]) => {
    const { repository, forge, open } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("1"));
    const trees = await open();
    await forge.behave(broken);
    const refused = await trees.obtain(gitTag(forge.url, commit), ALWAYS);
    assert(refused.kind === "unreachable", JSON.stringify(refused));
    expect(refused.message).toMatch(said);
    await forge.behave({ kind: "works" });
    thereOf(await trees.obtain(gitTag(forge.url, commit), ALWAYS));
  });

  test("needs git, which is said where there is none", async () => {
    const { repository, forge, open } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("1"));
    const trees = await open({ env: { PATH: await temporaryDirectory(onTestFinished) } });
    const refused = await trees.obtain(gitTag(forge.url, commit), ALWAYS);
    expect(refused).toStrictEqual({ kind: "unreachable", message: GIT_MISSING });
  });

  test("says nothing of the operator's password", async () => {
    const { open, repository } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("1"));
    const tag = gitTag("http://user:secret@127.0.0.1:1/set", commit);
    const refused = await (await open()).obtain(tag, ALWAYS);
    assert(refused.kind === "unreachable", JSON.stringify(refused));
    expect(refused.message).not.toMatch(/secret/);
  });
});

describe("the tree of a flake", limit, () => {
  test("comes with its inputs, and is evaluated without the network", async () => {
    const { repository, forge, open, nix, folder } = await prepare(onTestFinished);
    await repository.commit(setOf("input"));
    const input = repository.git("rev-parse", "HEAD");
    const url = (commit: string) => `git+${forge.url}?ref=refs/heads/main&rev=${commit}`;
    await writeFile(
      join(repository.path, "flake.nix"),
      `{ inputs.set = { url = "${url(input)}"; flake = false; };
         outputs = { self, set }: { packages.${SYSTEM} = import set { system = "${SYSTEM}"; }; }; }`,
    );
    repository.git("add", ".");
    await lockInputs(nix, repository);
    const commit = repository.add("flake");
    const tag = tagged({ kind: "flake", url: url(commit) }, commit);
    const trees = await open();
    thereOf(await trees.obtain(tag, ALWAYS));
    const [id = ""] = await readdir(join(folder, commit));
    expect(await readdir(join(folder, commit, id))).toStrictEqual(["input", "tree"]);
    await forge.behave({ kind: "down" });
    const again = await (await open()).obtain(tag, ALWAYS);
    const [found] = await lookUp(nix, thereOf(again), SYSTEM, ["hello"], ALWAYS.signal);
    expect(found?.lookup.kind, JSON.stringify(found)).toBe("found");
  });
});

async function lockInputs(nix: NixTool, { path }: Repository): Promise<void> {
  const features = ["--extra-experimental-features", "nix-command flakes"];
  const args = ["flake", "lock", ...features, `git+file://${path}`];
  const locked = await nix.run("nix", args, { deadlineMs: limit.timeout });
  assert(locked.kind === "exited" && locked.code === 0, JSON.stringify(locked));
}

describe("a tree", limit, () => {
  test("gives what evaluating its source gave before it was fetched apart", async () => {
    const { repository, forge, open, nix } = await prepare(onTestFinished);
    await writeFile(join(repository.path, "file"), "");
    const commit = await repository.commit(
      `{ system }: { hello = ${derivation("hello-1.0", "cat $file > $out", "file = ./file; dir = ./.;")}; }`,
    );
    const tag = archiveTag(forge.url, commit);
    const [files, fetched] = [thereOf(await (await open()).obtain(tag, ALWAYS)), tag.source];
    expect(files).not.toStrictEqual(fetched);
    const [here, there] = [
      await evaluateLookup(nix, files, ["hello", "nosuch"]),
      await evaluateLookup(nix, fetched, ["hello", "nosuch"]),
    ];
    expect(here.lookups[0]?.kind, JSON.stringify(here)).toBe("found");
    expect(here).toStrictEqual(there);
  });

  test("is fetched in a time of its own, which is not that of evaluating", async () => {
    const { repository, forge, open, nix } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("1"));
    const hasty = await open({ nix: { ...nix, evaluationDeadlineMs: 1 } });
    thereOf(await hasty.obtain(archiveTag(forge.url, commit), ALWAYS));
    const other = await repository.commit(setOf("2"));
    const refused = await (await open({ deadlineMs: 1 })).obtain(
      archiveTag(forge.url, other),
      ALWAYS,
    );
    assert(refused.kind === "unreachable", JSON.stringify(refused));
    expect(refused.message).toMatch(/not fetched in 0\.001 s; 0 bytes had come$/);
  });

  test("goes on being fetched whoever leaves, until another that is waited for needs its place", async () => {
    const { repository, forge, open } = await prepare(onTestFinished);
    const commits: string[] = [];
    for (const salt of ["1", "2", "3"]) commits.push(await repository.commit(setOf(salt)));
    const [first, second, third] = commits.map((commit) => archiveTag(forge.url, commit));
    assert(first && second && third);
    const trees = await open();
    await forge.behave({ kind: "stalls" });
    // As many as are fetched at once.
    const clients = [requestDemand("x"), requestDemand("y")] as const;
    const left = [trees.obtain(first, clients[0]), trees.obtain(second, clients[1])];
    await until("both are being fetched", () => forge.requests.length === 2);
    for (const client of clients) client.leave();
    const wanted = trees.obtain(third, requestDemand("z"));
    expect((await Promise.race(left)).kind).toBe("cancelled");
    await until("the third is being fetched", () => forge.requests.length === 3);
    await forge.behave({ kind: "works" });
    thereOf(await wanted);
    const kinds = (await Promise.all(left)).map(({ kind }) => kind);
    expect(kinds.toSorted()).toStrictEqual(["cancelled", "there"]);
  });

  test("is one for all configurations of it", async () => {
    const { repository, forge, open } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("1"));
    const { pin, source } = archiveTag(forge.url, commit);
    const trees = await open();
    for (const [id, config] of [
      ["1".repeat(16), { allowUnfree: true }],
      ["2".repeat(16), {}],
    ] as const) {
      const tag = tagged({ ...source, config }, configuredPin(pin, id));
      expect(thereOf(await trees.obtain(tag, ALWAYS)).config).toStrictEqual(config);
    }
    expect(forge.requests).toHaveLength(1);
  });

  test("of a local path is the path", async () => {
    const { open, started } = await prepare(onTestFinished);
    const trees = await open();
    for (const source of [
      { kind: "path", path: "/x", narHash: "sha256-x" },
      { kind: "flake", url: "path:/x?narHash=sha256-x" },
    ] as const) {
      const tag = tagged(source, `path-${"0".repeat(64)}`);
      expect(thereOf(await trees.obtain(tag, ALWAYS))).toBe(source);
    }
    expect(started).toStrictEqual([]);
  });

  const unprivileged = process.getuid?.() !== 0 && "a path is deleted though it is in use, as root";
  test("is fetched again when it is gone from the store", skipWhere(unprivileged), async () => {
    const { repository, forge, open, folder, nix } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf(`gone ${process.pid}`));
    const tag = archiveTag(forge.url, commit);
    const { files = "" } = thereOf(await (await open()).obtain(tag, ALWAYS));
    const [id = ""] = await readdir(join(folder, commit));
    expect(await readlink(join(folder, commit, id, "tree"))).toBe(files);
    await deleteFrom(nix, files);
    expect(thereOf(await (await open()).obtain(tag, ALWAYS)).files).toBe(files);
    expect(forge.requests).toHaveLength(2);
    await deleteRooted(nix, files);
  });

  test("goes when no tag has it and it was not used for as long as it is kept", async () => {
    const { repository, forge, open, folder, clock, inUse } = await prepare(onTestFinished);
    const commits = [
      await repository.commit(setOf("a")),
      await repository.commit(setOf("b")),
      await repository.commit(setOf("c")),
    ];
    const [pinned = "", used = "", left = ""] = commits;
    const trees = await open();
    for (const commit of commits) await trees.obtain(archiveTag(forge.url, commit), ALWAYS);
    inUse.add(pinOf(pinned));
    const kept = async () => new Set(await readdir(folder));
    clock.nowMs += DAY_MS - 1;
    await trees.obtain(archiveTag(forge.url, used), ALWAYS);
    await trees.prune();
    expect(await kept()).toStrictEqual(new Set(commits));
    clock.nowMs += 2;
    // As after a restart, by what the folders say.
    await (await open()).prune();
    expect(await kept()).toStrictEqual(new Set([pinned, used]));
    expect(forge.requests).toHaveLength(3);
    await trees.obtain(archiveTag(forge.url, left), ALWAYS);
    expect(forge.requests).toHaveLength(4);
  });

  test("gives way to newer ones where clients ask for very many revisions", async () => {
    const { repository, forge, open, folder, clock } = await prepare(onTestFinished);
    const commit = await repository.commit(setOf("many"));
    const trees = await open({ maxTrees: 2 });
    // Other URLs of one repository are other trees, and cost no download.
    for (let index = 0; index < 4; index++) {
      clock.nowMs += 7_200_000;
      const obtained = await trees.obtain(
        archiveTag(`${forge.url}/../${index}/../set`, commit),
        ALWAYS,
      );
      thereOf(obtained);
    }
    expect(await readdir(join(folder, commit))).toHaveLength(2);
  });
});

/** Whatever holds it, as a person might. */
async function deleteFrom(nix: NixTool, path: string): Promise<void> {
  const args = ["--delete", "--ignore-liveness", path];
  const gone = await nix.run("nix-store", args, { deadlineMs: limit.timeout });
  assert(gone.kind === "exited" && gone.code === 0, JSON.stringify(gone));
}

/** Whether the collector keeps off it. */
async function deleteRooted(nix: NixTool, path: string): Promise<void> {
  const kept = await nix.run("nix-store", ["--delete", path], { deadlineMs: limit.timeout });
  assert(kept.kind === "exited" && kept.code !== 0, JSON.stringify(kept));
  expect(kept.stderr).toMatch(/still alive/);
}
