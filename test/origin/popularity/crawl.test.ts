// Counting over a binary cache: a real HTTP server with narinfo files in Nix's format, the faults
// of real caches and hostile ones, and going on where a run was stopped.

import { getEventListeners } from "node:events";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type BinaryCacheOptions,
  openBinaryCache,
} from "../../../origin/popularity/binary-cache.ts";
import { createCounter } from "../../../origin/popularity/counter.ts";
import { type CrawlProgress, crawl } from "../../../origin/popularity/crawl.ts";
import { openNarinfoJournal } from "../../../origin/popularity/narinfo-journal.ts";
import { storePathOf } from "../../registry/fixture.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { type Fault, type Graph, narinfoOf, serveCache } from "./cache.ts";

const GRAPH: Graph = {
  "htop-3": ["glibc-2", "ncurses-6", "htop-3"],
  "git-2": ["glibc-2", "bash-5", "zlib-1"],
  "ncurses-6": ["glibc-2"],
  "bash-5": ["glibc-2", "ncurses-6", "bash-5"],
  "zlib-1": ["glibc-2"],
  "glibc-2": [],
};
const COUNTS = { glibc: 5, ncurses: 2 };

const quick: Omit<BinaryCacheOptions, "url"> = { retryMs: 1, attempts: 3, attemptDeadlineMs: 5000 };

interface Run {
  readonly listed?: readonly string[];
  readonly journalFile?: string;
  readonly options?: Omit<BinaryCacheOptions, "url">;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CrawlProgress) => void;
}

async function count(onEnd: Ending, url: string, run: Run = {}) {
  const file = run.journalFile ?? join(await temporaryDirectory(onEnd), "journal");
  const journal = await openNarinfoJournal(file);
  try {
    const counter = createCounter();
    const progress = await crawl({
      cache: openBinaryCache({ url, ...(run.options ?? quick) }),
      journal,
      listed: (run.listed ?? ["htop-3", "git-2"]).map(storePathOf),
      concurrency: 3,
      onNarinfo: ({ references }) => counter.add(references),
      signal: run.signal ?? new AbortController().signal,
      ...(run.onProgress === undefined ? {} : { onProgress: run.onProgress }),
    });
    return { ...progress, counts: Object.fromEntries(counter.byPackage()) };
  } finally {
    await journal.close();
  }
}

describe("crawl", { timeout: 60_000 }, () => {
  test("counts the references of all paths that the list leads to, each asked for once", async () => {
    const cache = await serveCache(onTestFinished, GRAPH);
    const counted = await count(onTestFinished, `${cache.url}/`);
    expect(counted).toStrictEqual({ known: 6, read: 6, absent: 0, failed: 0, counts: COUNTS });
    expect(cache.asked.toSorted()).toStrictEqual(Object.keys(GRAPH).toSorted());
  });

  const transient: readonly [title: string, fault: Fault["answer"]][] = [
    ["503", (response) => response.writeHead(503).end()],
    ["429 with Retry-After", (response) => response.writeHead(429, { "Retry-After": "0" }).end()],
    ["a connection that breaks", (response) => response.destroy()],
    [
      "fewer bytes than it announced",
      (response, file) => {
        response.writeHead(200, { "Content-Length": file.length + 10 });
        response.write(file, () => response.destroy());
      },
    ],
    ["half a file that ends well", (response, file) => response.end(file.slice(0, 120))],
    ["another's file", (response) => response.end(narinfoOf(storePathOf("other-1"), []))],
  ];
  test.for(transient)("asks again after %s", async ([, answer]) => {
    const cache = await serveCache(onTestFinished, GRAPH, { "bash-5": { times: 2, answer } });
    const counted = await count(onTestFinished, cache.url);
    expect(counted).toStrictEqual({ known: 6, read: 6, absent: 0, failed: 0, counts: COUNTS });
    expect(cache.asked.filter((name) => name === "bash-5")).toHaveLength(3);
  });

  test("asks again where an answer takes too long", async () => {
    const answer = () => undefined;
    const cache = await serveCache(onTestFinished, GRAPH, { "bash-5": { times: 1, answer } });
    const counted = await count(onTestFinished, cache.url, {
      options: { ...quick, attemptDeadlineMs: 200 },
    });
    expect(counted.read).toBe(6);
  });

  const withoutBash = { glibc: 4 };
  const lasting: readonly [
    title: string,
    fault: Fault["answer"],
    kind: "absent" | "failed",
    requests: number,
  ][] = [
    ["404", (response) => response.writeHead(404).end("404"), "absent", 1],
    ["403, as buckets say it", (response) => response.writeHead(403).end(), "absent", 1],
    ["500 for ever", (response) => response.writeHead(500).end(), "failed", 3],
    ["a login page", (response) => response.end("<html>\n</html>\n"), "failed", 3],
    ["400", (response) => response.writeHead(400).end(), "failed", 1],
    [
      "a file without end",
      (response) => {
        const more = () => {
          if (!response.destroyed) response.write("X: y\n".repeat(10_000), more);
        };
        more();
      },
      "failed",
      1,
    ],
  ];
  test.for(lasting)(
    "leaves out and counts what is answered with %s",
    async ([, answer, kind, requests]) => {
      const cache = await serveCache(onTestFinished, GRAPH, { "bash-5": { answer } });
      const counted = await count(onTestFinished, cache.url);
      const gaps = { absent: 0, failed: 0, [kind]: 1 };
      // Only bash leads to ncurses a second time.
      expect(counted).toStrictEqual({ known: 6, read: 5, ...gaps, counts: withoutBash });
      expect(cache.asked.filter((name) => name === "bash-5")).toHaveLength(requests);
    },
  );

  test("ends where the cache answers nothing any more, and says what it says", async () => {
    const names = Array.from({ length: 40 }, (_, at) => `broken-${at}`);
    const fault: Fault = { answer: (response) => response.writeHead(500).end() };
    const faults = Object.fromEntries(names.map((name) => [name, fault]));
    const cache = await serveCache(onTestFinished, {}, faults);
    const options = { ...quick, attempts: 1 };
    await expect(count(onTestFinished, cache.url, { listed: names, options })).rejects.toThrow(
      /narinfo: HTTP 500$/,
    );
    expect(cache.asked.length).toBeLessThan(names.length);
  });

  test("ends where the cache is gone, though the journal knows every other path", async () => {
    const journalFile = join(await temporaryDirectory(onTestFinished), "journal");
    const known = Array.from({ length: 40 }, (_, at) => `known-${at}`);
    const before = await serveCache(
      onTestFinished,
      Object.fromEntries(known.map((name) => [name, []])),
    );
    await count(onTestFinished, before.url, { journalFile, listed: known });
    const gone: Fault = { answer: (response) => response.writeHead(500).end() };
    const faults = Object.fromEntries(known.map((name) => [`un${name}`, gone]));
    const cache = await serveCache(onTestFinished, {}, faults);
    const listed = known.flatMap((name) => [name, `un${name}`]);
    const options = { ...quick, attempts: 1 };
    await expect(
      count(onTestFinished, cache.url, { journalFile, listed, options }),
    ).rejects.toThrow(/HTTP 500$/);
    expect(cache.asked.length).toBeLessThan(known.length);
  });

  test("ends with the reason of its signal between two attempts", async () => {
    const stop = new AbortController();
    const reason = new Error("stopped by the test");
    const answer: Fault["answer"] = (response) => response.writeHead(503).end();
    const cache = await serveCache(onTestFinished, {}, { "htop-3": { answer } });
    const options = { ...quick, retryMs: 30_000 };
    const counted = count(onTestFinished, cache.url, {
      listed: ["htop-3"],
      options,
      signal: stop.signal,
    });
    const rejected = expect(counted).rejects.toSatisfy((error) => error === reason);
    // Only who waits for the next attempt listens to the signal itself.
    while (getEventListeners(stop.signal, "abort").length === 0) await setImmediate();
    stop.abort(reason);
    await rejected;
  });

  test("goes on where it was stopped", async () => {
    const cache = await serveCache(onTestFinished, GRAPH);
    const journalFile = join(await temporaryDirectory(onTestFinished), "journal");
    const stop = new AbortController();
    const reason = new Error("stopped by the test");
    const onProgress = ({ read }: CrawlProgress) => {
      if (read === 3) stop.abort(reason);
    };
    const stopped = count(onTestFinished, cache.url, {
      journalFile,
      signal: stop.signal,
      onProgress,
    });
    await expect(stopped).rejects.toThrow(reason);
    const kept = (await readFile(journalFile, "utf8")).trim().split("\n").length;
    expect(kept).toBeGreaterThanOrEqual(3);
    cache.asked.length = 0;
    const counted = await count(onTestFinished, cache.url, { journalFile });
    expect(counted.counts).toStrictEqual(COUNTS);
    expect(cache.asked).toHaveLength(6 - kept);
  });

  test("does not believe a journal's line that is broken", async () => {
    const cache = await serveCache(onTestFinished, GRAPH);
    const journalFile = join(await temporaryDirectory(onTestFinished), "journal");
    await count(onTestFinished, cache.url, { journalFile });
    const lines = (await readFile(journalFile, "utf8")).split("\n");
    const broken = [
      "[1]",
      "{}",
      '["x"]',
      "null",
      ...lines.slice(0, -2),
      lines.at(-2)?.slice(0, 50),
    ];
    await writeFile(journalFile, broken.join("\n"));
    cache.asked.length = 0;
    expect((await count(onTestFinished, cache.url, { journalFile })).counts).toStrictEqual(COUNTS);
    expect(cache.asked).toHaveLength(1);
    await appendFile(journalFile, "[");
    cache.asked.length = 0;
    expect((await count(onTestFinished, cache.url, { journalFile })).counts).toStrictEqual(COUNTS);
    expect(cache.asked).toStrictEqual([]);
  });
});
