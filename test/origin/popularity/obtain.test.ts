// Which popularity data an origin starts with: the configured file, the set's own, or what is
// counted and kept. Real files and HTTP; counting itself is small-set.test.ts.

import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { NO_POPULARITY, type Popularity } from "../../../origin/layers/popularity.ts";
import { type ObtainOptions, obtainPopularity } from "../../../origin/popularity/obtain.ts";
import type { CountedSet } from "../../../origin/popularity/small-set.ts";
import type { Source } from "../../../origin/sources/source.ts";
import { openFilesystemStore } from "../../../origin/storage/filesystem.ts";
import { storedText } from "../../../origin/storage/stored-json.ts";
import { pinOf, storePathOf } from "../../registry/fixture.ts";
import { type Ending, readableLog, temporaryDirectory } from "../fixture.ts";

const NIXPKGS: Source = { kind: "nixpkgs", url: "/nowhere", channel: "x" };
const GIT: Source = { kind: "git", url: "https://git.invalid/set" };
const GLIBC = storePathOf("glibc-2.36");
const DAY_MS = 86_400_000;

const pinned: Awaited<ReturnType<ObtainOptions["pins"]["resolve"]>> = {
  kind: "pinned",
  pin: pinOf("0".repeat(40)),
  source: { kind: "git", url: "https://git.invalid/set", commit: "0".repeat(40) },
  resolvedAtMs: 0,
  immutable: false,
};

const NOTHING_CARRIED = { kind: "read", text: null } as const;

function counted(glibc: number): CountedSet {
  const counts = new Map([["glibc", glibc]]);
  return { kind: "counted", data: { kind: "derivations", counted: 10, counts } };
}

/** One start after another on one storage. */
async function createStarts(onEnd: Ending) {
  const store = await openFilesystemStore(await temporaryDirectory(onEnd));
  const { log, lines } = readableLog();
  const starts = { counting: 0 };
  async function start(changes: Partial<ObtainOptions>, answer: CountedSet = counted(7)) {
    return await obtainPopularity({
      ...{ url: null, source: GIT, refreshMs: null, store, log, now: () => DAY_MS },
      pins: { resolve: async () => pinned, carriedPopularity: async () => NOTHING_CARRIED },
      countSet: async () => {
        starts.counting += 1;
        return answer;
      },
      signal: new AbortController().signal,
      ...changes,
    });
  }
  return { start, starts, lines };
}

interface Answer {
  status: number;
  body: string;
}

async function serve(onEnd: Ending, answer: Answer): Promise<string> {
  const server = createServer((_, response) => response.writeHead(answer.status).end(answer.body));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/popularity.json`;
}

describe("obtainPopularity, of what an operator gives", { timeout: 20_000 }, () => {
  test("has none of nixpkgs, which is never counted", async () => {
    const { start, starts } = await createStarts(onTestFinished);
    expect(await start({ source: NIXPKGS })).toBe(NO_POPULARITY);
    expect(starts.counting).toBe(0);
  });

  test("reads the file beside a local set, and counts nothing then", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "popularity.json"), '{"glibc-2.36": 42}');
    const { start, starts } = await createStarts(onTestFinished);
    const popularity = await start({ source: { kind: "path", path } });
    expect(popularity.count(GLIBC)).toBe(42);
    expect(starts.counting).toBe(0);
  });

  test("reads the configured URL, and that before the file", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "popularity.json"), '{"glibc": 1000}');
    const { start } = await createStarts(onTestFinished);
    const url = await serve(onTestFinished, { status: 200, body: '{"glibc-2.30": 300000}' });
    for (const source of [NIXPKGS, { kind: "path", path } as const]) {
      expect((await start({ url, source })).count(GLIBC)).toBe(300_000);
    }
  });

  test("reads what an origin has stored, if nothing of it was changed", async () => {
    const body = Buffer.from(storedText('{"glibc": 300000}')).toString();
    const { start } = await createStarts(onTestFinished);
    const url = await serve(onTestFinished, { status: 200, body });
    expect((await start({ url })).count(GLIBC)).toBe(300_000);
    const changed = await serve(onTestFinished, { status: 200, body: body.replace("3", "4") });
    await expect(start({ url: changed })).rejects.toThrow(/not what its checksum is of/);
  });

  test("reads a file URL", async () => {
    const path = join(await temporaryDirectory(onTestFinished), "data of mine.json");
    await writeFile(path, '{"glibc": 300000}');
    const { start } = await createStarts(onTestFinished);
    expect((await start({ url: pathToFileURL(path).href })).count(GLIBC)).toBe(300_000);
    const url = "file:///nowhere/data.json";
    await expect(start({ url })).rejects.toThrow(/file:\/\/\/nowhere\/data.json: no such file/);
    for (const place of [dirname(path), "/dev/null"]) {
      await expect(start({ url: pathToFileURL(place).href })).rejects.toThrow(/ is no file$/);
    }
  });

  const faults: readonly [status: number, body: string, message: RegExp][] = [
    [404, "{}", /HTTP 404/],
    [500, "{}", /HTTP 500/],
    [200, "{", /is no JSON$/],
    [200, "[1]", /is no JSON object of names and counts/],
    [200, '{"a": -1}', /is no JSON object of names and counts/],
    [200, '{"a": "1"}', /is no JSON object of names and counts/],
  ];
  test.for(faults)(
    "ends the first start when the URL answers %s %s, no later one",
    async ([status, body, message]) => {
      const { start, lines } = await createStarts(onTestFinished);
      const answer = { status, body };
      const url = await serve(onTestFinished, answer);
      await expect(start({ url })).rejects.toThrow(message);
      Object.assign(answer, { status: 200, body: '{"glibc":300000}' });
      const { id } = await start({ url });
      Object.assign(answer, { status, body });
      expect((await start({ url })).id).toBe(id);
      expect(String(lines.at(-1)?.reason)).toMatch(message);
    },
  );

  test("ends the start when the file beside the set is broken", async () => {
    const path = await temporaryDirectory(onTestFinished);
    await writeFile(join(path, "popularity.json"), "nonsense");
    const { start } = await createStarts(onTestFinished);
    await expect(start({ source: { kind: "path", path } })).rejects.toThrow(
      /popularity data .* no JSON/,
    );
  });
});

describe("obtainPopularity, of what is counted", { timeout: 20_000 }, () => {
  test("counts at the first start, and keeps to that", async () => {
    const { start, starts } = await createStarts(onTestFinished);
    const first = await start({});
    expect(first.count(GLIBC)).toBe(7);
    const later = await start({ now: () => 1000 * DAY_MS }, counted(9));
    expect(later.id).toBe(first.id);
    expect(starts.counting).toBe(1);
  });

  test("agrees with another origin that has counted meanwhile", async () => {
    const { start } = await createStarts(onTestFinished);
    let first: Popularity | undefined;
    const countSet = async () => {
      first = await start({});
      return counted(9);
    };
    const second = await start({ countSet });
    expect(second.count(GLIBC)).toBe(7);
    expect(second.id).toBe(first?.id);
    expect((await start({})).id).toBe(first?.id);
  });

  test("counts each source of a storage by itself", async () => {
    const { start, starts } = await createStarts(onTestFinished);
    await start({});
    await start({ source: { ...GIT, url: "https://git.invalid/other" } });
    expect(starts.counting).toBe(2);
  });

  test("counts again at the start after the refresh time", async () => {
    const { start, starts } = await createStarts(onTestFinished);
    const refreshMs = 30 * DAY_MS;
    const first = await start({ refreshMs });
    expect((await start({ refreshMs, now: () => 30 * DAY_MS }, counted(9))).id).toBe(first.id);
    const second = await start({ refreshMs, now: () => 31 * DAY_MS }, counted(9));
    expect(second.count(GLIBC)).toBe(9);
    expect((await start({ refreshMs, now: () => 32 * DAY_MS })).id).toBe(second.id);
    expect(starts.counting).toBe(2);
  });

  test.for([
    { kind: "too-large", reason: "it has 90000 attributes" },
    { kind: "failed", reason: "undefined variable" },
  ] as const)("keeps earlier data when the set is $kind at the refresh", async (answer) => {
    const { start } = await createStarts(onTestFinished);
    const first = await start({});
    const again = await start({ refreshMs: DAY_MS, now: () => 9 * DAY_MS }, answer);
    expect(again.id).toBe(first.id);
  });

  test("does not try again with a set that is too large", async () => {
    const { start, starts, lines } = await createStarts(onTestFinished);
    const answer = { kind: "too-large", reason: "it has 90000 attributes" } as const;
    expect(await start({}, answer)).toBe(NO_POPULARITY);
    expect(lines.at(-1)?.reason).toBe(answer.reason);
    expect(await start({})).toBe(NO_POPULARITY);
    expect(starts.counting).toBe(1);
  });

  test("tries again with a set that did not evaluate or could not be reached", async () => {
    const { start, starts } = await createStarts(onTestFinished);
    const unreachable = { kind: "unreachable", message: "no route to host" } as const;
    const pins = {
      resolve: async () => unreachable,
      carriedPopularity: () => expect.unreachable(),
    };
    expect(await start({ pins })).toBe(NO_POPULARITY);
    expect(starts.counting).toBe(0);
    expect(await start({}, { kind: "failed", reason: "undefined variable" })).toBe(NO_POPULARITY);
    expect((await start({})).count(GLIBC)).toBe(7);
  });
});
