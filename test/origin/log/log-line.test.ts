// The log as people read it: a table of what programs write, and the line of each.

import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { lineWriter } from "../../../origin/log/log.ts";
import { formatLine, type LineStyle } from "../../../origin/log/log-line.ts";
import { createRandom, hostileText } from "../../hostile-text.ts";

process.env.TZ = "UTC";
const TIME = Date.UTC(2026, 0, 2, 3, 4, 5);
const PULL = { level: 30, time: TIME, msg: "answered", method: "GET", path: "/v2/x", status: 200 };
const GIT = { image: "shell/git", tag: "latest", variant: "oci-zstd" };

interface Row {
  readonly title: string;
  readonly record: Readonly<Record<string, unknown>>;
  readonly style?: Partial<LineStyle>;
  readonly line: string | undefined;
}

const ROWS: readonly Row[] = [
  {
    title: "a pull that was made",
    record: { ...PULL, ms: 3210, ...GIT, answer: "made", newBytes: 41_300_000 },
    line: "03:04:05 shell/git:latest oci-zstd made in 3.2 s, 41 MB new",
  },
  {
    title: "a pull that was made of old layers",
    record: { ...PULL, ms: 321, ...GIT, answer: "made", newBytes: 0 },
    line: "03:04:05 shell/git:latest oci-zstd made in 321 ms, nothing new to pack",
  },
  {
    title: "a pull of what was remembered",
    record: { ...PULL, ms: 4, ...GIT, answer: "remembered", newBytes: 0 },
    line: "03:04:05 shell/git:latest oci-zstd remembered, 4 ms",
  },
  {
    title: "a pull of what was remembered, in colours",
    record: { ...PULL, ms: 4, ...GIT, answer: "remembered", newBytes: 0 },
    style: { colours: true },
    line: "\x1b[2m03:04:05 \x1b[22m\x1b[1mshell/git:latest\x1b[22m oci-zstd \x1b[36mremembered\x1b[39m, 4 ms",
  },
  {
    title: "a stale answer",
    record: { ...PULL, ms: 61_000, ...GIT, answer: "stale", newBytes: 5000 },
    line: "03:04:05 shell/git:latest oci-zstd stale, 61 s, 5 kB new",
  },
  {
    title: "what the edge had",
    record: { level: "info", event: "answered", ms: 1, ...GIT, answer: "remembered", tier: "kv" },
    style: { part: "edge", now: () => TIME },
    line: "03:04:05 edge shell/git:latest oci-zstd remembered (kv), 1 ms",
  },
  {
    title: "a failed pull, with all that its client was told",
    record: {
      ...{ ...PULL, status: 404, ms: 400, ...GIT, answer: "failed", code: "MANIFEST_UNKNOWN" },
      message: "no package shell\nno package git (did you mean got?)",
    },
    line: "03:04:05 shell/git:latest oci-zstd failed in 400 ms, 404: no package shell\n    no package git (did you mean got?)",
  },
  {
    title: "a failed pull, in colours",
    record: { ...PULL, status: 503, ms: 9500, ...GIT, answer: "failed" },
    style: { colours: true },
    line: "\x1b[2m03:04:05 \x1b[22m\x1b[1mshell/git:latest\x1b[22m oci-zstd \x1b[31mfailed\x1b[39m in 9.5 s, 503",
  },
  {
    title: "a pull that is still under way",
    record: {
      ...{ ...PULL, status: 503, ms: 50_010, ...GIT, answer: "still-under-way" },
      message: "not ready yet: packing layers; try again",
    },
    line: "03:04:05 shell/git:latest oci-zstd still under way after 50 s: not ready yet: packing layers; try again",
  },
  {
    title: "a client that has left",
    record: { ...PULL, status: 503, ms: 2000, ...GIT, answer: "left" },
    line: "03:04:05 shell/git:latest oci-zstd left by its client after 2.0 s",
  },
  {
    title: "a build that has come to another stage",
    record: {
      ...{ level: 30, time: TIME, msg: "under way", ...GIT, stage: "realising" },
      said: "building 1 of 3: hello-2.12; downloading 12 of 80 MB",
    },
    line: "03:04:05 shell/git:latest building 1 of 3: hello-2.12; downloading 12 of 80 MB",
  },
  {
    title: "an image that was made when its request was answered",
    record: {
      ...{ level: 30, time: TIME, msg: "built after its request was answered", ...GIT },
      ...{ ms: 180_000, outcome: "image", answer: "made", newBytes: 2_000_000_000 },
    },
    line: "03:04:05 shell/git:latest oci-zstd made in 3 min, 2.0 GB new",
  },
  { title: "no blob", record: { ...PULL, ms: 4 }, line: undefined },
  {
    title: "a blob where faults are looked for",
    record: { ...PULL, ms: 4 },
    style: { isVerbose: true },
    line: "03:04:05 GET /v2/x 200",
  },
  {
    title: "a blob that is not there",
    record: { ...PULL, status: 404, ms: 4, code: "BLOB_UNKNOWN", message: "no blob is kept here" },
    line: "03:04:05 GET /v2/x 404: no blob is kept here",
  },
  {
    title: "no layer",
    record: { level: 30, time: TIME, msg: "packed", digest: "sha256:0" },
    line: undefined,
  },
  {
    title: "no process of Nix",
    record: { level: 30, time: TIME, msg: "started", program: "nix-store" },
    line: undefined,
  },
  {
    title: "no end of one",
    record: { level: 30, time: TIME, msg: "ended", program: "nix-store", ms: 5 },
    line: undefined,
  },
  {
    title: "a process of Nix where faults are looked for",
    record: { level: 30, time: TIME, msg: "started", program: "nix-store", args: ["--realise"] },
    style: { isVerbose: true },
    line: '03:04:05 started: program nix-store, args ["--realise"]',
  },
  {
    title: "what was given to the edge",
    record: { level: 30, time: TIME, msg: "backfilled", recipe: "cacert/git", uploads: 3 },
    line: "03:04:05 backfilled: recipe cacert/git, uploads 3",
  },
  {
    title: "nothing of what the edge had already",
    record: { level: 30, time: TIME, msg: "backfilled", recipe: "cacert/git", uploads: 0 },
    line: undefined,
  },
  {
    title: "a warning with its reason",
    record: {
      ...{ level: 40, time: TIME, msg: "backfill waits", recipe: "cacert/git" },
      ...{ reason: "connect ECONNREFUSED", delayMs: 2000, limitBytes: 5_000_000 },
    },
    line: "03:04:05 warning: backfill waits: recipe cacert/git, reason connect ECONNREFUSED, delay 2.0 s, limit 5.0 MB",
  },
  {
    title: "a warning in colours",
    record: { level: 40, time: TIME, msg: "backfill waits" },
    style: { colours: true },
    line: "\x1b[2m03:04:05 \x1b[22m\x1b[33mwarning: \x1b[39mbackfill waits",
  },
  {
    title: "a warning of the edge with what caused it, and what caused that",
    record: {
      ...{ level: "warn", event: "not answered", path: "/v2/x", code: "UNAVAILABLE" },
      cause: { message: "the origin is down", cause: { message: "refused" } },
    },
    style: { part: "edge", now: () => TIME },
    line: "03:04:05 edge warning: not answered: path /v2/x, code UNAVAILABLE, the origin is down: refused",
  },
  {
    title: "an error with where it is",
    record: {
      ...{ level: 50, time: TIME, msg: "a request failed", path: "/v2/x" },
      err: {
        type: "Error",
        message: "odd: cause",
        stack: "Error: odd\n    at a (b.ts:1:2)\n\tat c",
      },
    },
    line: "03:04:05 error: a request failed: path /v2/x, odd: cause\n    at a (b.ts:1:2)\n    at c",
  },
  {
    title: "a fact that is long, cut",
    record: { level: 30, time: TIME, msg: "x", list: "a".repeat(1000) },
    line: `03:04:05 x: list ${"a".repeat(200)}…`,
  },
];

const STYLE: LineStyle = { colours: false, isVerbose: false, now: () => expect.unreachable() };

describe("a line for people says", () => {
  test.for(ROWS)("$title", ({ record, style, line }) => {
    const said = formatLine(JSON.stringify(record), { ...STYLE, ...style });
    expect(said).toBe(line === undefined ? undefined : `${line}\n`);
  });

  test("what a runtime wrote that is no line of ours", () => {
    expect(formatLine("workerd: \x1b[31mno\x07\n", STYLE)).toBe("workerd: no\n");
    expect(formatLine("[1]\r\n", STYLE)).toBe("[1]\n");
  });

  test("a pino record as it is written", () => {
    let said = "";
    const write = (line: string) => {
      said += line;
    };
    const style = { level: "info", format: null, colours: null } as const;
    const log = pino({ base: null }, { write: lineWriter(style, true, { write }) });
    log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
    expect(said, said).toContain("\x1b[31merror: \x1b[39mfailed: outer: inner\x1b[2m\n");
    expect(said).toMatch(/\n {4}at .*log-line\.test\.ts/);
  });
});

/** One line, and lines that are indented. */
const PLAIN_LINES =
  /^[^\p{Cc}\u2028-\u202e\u2066-\u2069]*(?:\n {4}[^\p{Cc}\u2028-\u202e\u2066-\u2069]*)*\n$/u;

describe("nothing of a client's or a package set's words but plain text gets to a terminal", () => {
  // Every place of a line that holds words of others.
  const places = ["msg", "image", "tag", "variant", "said", "message", "path", "reason", "tier"];
  const random = createRandom(1);
  const texts = [
    ...["\x1b]0;title\x07x", "\x1b[2J\x1b[H", "a\rb", "\x9b31m", "\x00", "two\nlines\r\n\tx"],
    ...Array.from({ length: 60 }, () => hostileText(random)),
  ];
  test("whatever they are", () => {
    for (const hostile of texts) {
      for (const msg of ["answered", "under way", "backfill waits"]) {
        for (const level of [30, 40, 50]) {
          for (const place of places) {
            const err = { message: hostile, stack: `x\n    at ${hostile}` };
            const record = { ...PULL, msg, level, ...GIT, err, [place]: hostile, [hostile]: 1 };
            const said = formatLine(JSON.stringify(record), STYLE) ?? "\n";
            expect(said, JSON.stringify(record)).toMatch(PLAIN_LINES);
          }
        }
      }
    }
  });
});

describe("a log is written", () => {
  const rows: readonly (readonly [
    format: "text" | "json" | null,
    colours: boolean | null,
    isTerminal: boolean,
    expected: "json" | "text" | "coloured",
  ])[] = [
    [null, null, false, "json"],
    [null, null, true, "coloured"],
    [null, false, true, "text"],
    [null, true, false, "json"],
    ["json", null, true, "json"],
    ["json", true, true, "json"],
    ["text", null, false, "text"],
    ["text", true, false, "coloured"],
    ["text", null, true, "coloured"],
  ];
  for (const [format, colours, isTerminal, expected] of rows) {
    const where = isTerminal ? "on a terminal" : "elsewhere";
    test(`as ${expected} ${where} with format ${format} and colours ${colours}`, () => {
      let said = "";
      const write = (line: string) => {
        said += line;
      };
      lineWriter({ level: "info", format, colours }, isTerminal, { write })(
        `${JSON.stringify({ ...PULL, ...GIT, ms: 1, answer: "made" })}\n`,
      );
      const kind = said.startsWith("{") ? "json" : said.includes("\x1b[") ? "coloured" : "text";
      expect(kind).toBe(expected);
    });
  }
});
