// What a person sees who starts an origin in a terminal, and what a file gets instead.

import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { skipWhere } from "../../skip-where.ts";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { plantSet, REPOSITORY_PREFIX } from "../house.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/origin.ts", import.meta.url));
const hasScript = spawnSync("script", ["--version"]).status === 0;
const SKIP = hasScript ? false : "no script on PATH";

type Child = ChildProcessByStdio<null, Readable, Readable>;

interface Terminal {
  /** Everything written, standard error and output alike. */
  until(what: RegExp): Promise<string>;
  readonly url: string;
}

/** `program` and its arguments, with an origin on a free port in their environment. */
async function open(
  onEnd: Ending,
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<Terminal> {
  const child: Child = spawn(program, args, {
    env: {
      ...{ PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "/root", TERM: "xterm" },
      ...{ PORT: "0", EDGE_PORT: "1", NIXPORT_PACK_WORKERS: "1" },
      ...{
        NIXPORT_STATE: await temporaryDirectory(onEnd),
        NIXERY_PKGS_PATH: await plantSet(onEnd),
      },
      NIX_CONFIG: "sandbox = false\nsubstituters =\n",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onEnd(async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  });
  let written = "";
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => undefined);
  child.once("exit", () => reject(new Error(`it has ended:\n${written}`)));
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      written += chunk;
      for (const look of waiting) look();
    });
  }
  const until = (what: RegExp) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const look = () => {
      if (what.test(written)) resolve(written);
    };
    waiting.add(look);
    look();
    return Promise.race([promise, ended]);
  };
  const start = await until(/origin at http\S+,/);
  return { until, url: /origin at (http\S+),/.exec(start)?.[1] ?? "" };
}

const inTerminal = [
  "script",
  "-qefc",
  `exec '${process.execPath}' '${COMMAND}'`,
  "/dev/null",
] as const;
const plainly = [process.execPath, COMMAND] as const;

const pull = (url: string, name: string) =>
  fetch(`${url}/v2/${REPOSITORY_PREFIX}${name}/manifests/latest`);

describe("an origin's log", { timeout: 60_000 }, () => {
  test("is a line of words and colours for each pull in a terminal", skipWhere(SKIP), async () => {
    const terminal = await open(onTestFinished, inTerminal);
    await pull(terminal.url, "hello");
    await pull(terminal.url, "hello");
    await pull(terminal.url, "helo");
    const written = await terminal.until(/404/);
    const name = `${REPOSITORY_PREFIX}hello:latest`;
    const lines = written.split("\r\n").filter((line) => /hello:|helo:/.test(line));
    const bold = `\x1b[1m${name}\x1b[22m oci-gzip`;
    expect(lines.filter((line) => line.includes(`${bold} \x1b[32mmade\x1b[39m in `))).toHaveLength(
      1,
    );
    expect(lines.find((line) => line.includes("made")) ?? "").toMatch(/, \d+ kB new$/);
    expect(lines.filter((line) => line.includes(`${bold} \x1b[36mremembered`))).toHaveLength(1);
    expect(lines.at(-1) ?? "").toMatch(/404: no package helo \(did you mean hello/);
    expect(written).not.toMatch(/[{}]|"msg"/);
  });

  test("has no colours there with NO_COLOR", skipWhere(SKIP), async () => {
    const terminal = await open(onTestFinished, inTerminal, { NO_COLOR: "1" });
    await pull(terminal.url, "sh");
    const written = await terminal.until(/ made in /);
    expect(written, written).toContain(`${REPOSITORY_PREFIX}sh:latest oci-gzip made in `);
    expect(written).not.toContain("\x1b[");
  });

  test("is JSON there where NIXPORT_LOG_FORMAT says so", skipWhere(SKIP), async () => {
    const terminal = await open(onTestFinished, inTerminal, { NIXPORT_LOG_FORMAT: "json" });
    await pull(terminal.url, "sh");
    const written = await terminal.until(/"answered"/);
    expect(written).toMatch(/^\{"level":30,.*"answer":"made".*"msg":"answered"\}\r$/m);
  });

  test("is JSON where it goes to no terminal", async () => {
    const terminal = await open(onTestFinished, plainly);
    await pull(terminal.url, "sh");
    const written = await terminal.until(/"answered"/);
    expect(written).toMatch(/^\{"level":30,.*"answer":"made".*"msg":"answered"\}$/m);
  });

  test("is words there where NIXPORT_LOG_FORMAT says so", async () => {
    const terminal = await open(onTestFinished, plainly, { NIXPORT_LOG_FORMAT: "text" });
    await pull(terminal.url, "sh");
    const written = await terminal.until(/ made in /);
    expect(written).toMatch(/^\d\d:\d\d:\d\d \S*sh:latest oci-gzip made in /m);
  });
});
