// A whole nixport for a test: the origin and the edge as the processes `npm run origin` and
// `npm run edge` start, on free ports and a state of their own.

import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { debianSetNixConfig } from "../../origin/command/host.ts";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { freePort } from "../free-port.ts";
import { noteError } from "./part-errors.ts";

/** The Debian-backed set that `npm test` generates before any test runs. */
export const DEBIAN_SET = resolve(statePathOf(process.env), "debian");

const COMMANDS = fileURLToPath(new URL("../../origin/command/", import.meta.url));
/** A hang must end the test, not the machine's patience. */
const WAIT_DEADLINE_MS = 120_000;

export interface LogLine {
  readonly msg?: string;
  readonly [field: string]: unknown;
}

export interface Part {
  readonly url: string;
  readonly pid: number;
  /** Resolves when it answers; rejects where it ends before. */
  readonly listening: Promise<unknown>;
  readonly log: readonly LogLine[];
  /** The first line that satisfies, of those already written or of those to come. */
  waitFor(what: (line: LogLine) => boolean): Promise<LogLine>;
  isRunning(): boolean;
  /** Ends the process and waits for it. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export type PartName = "origin" | "edge";

export interface Deployment {
  readonly statePath: string;
  readonly originUrl: string;
  readonly edgeUrl: string;
  startOrigin(): Promise<Part>;
  startEdge(): Promise<Part>;
  /** The same without waiting until it answers. */
  launch(name: PartName): Part;
  close(): Promise<void>;
}

export interface DeploymentOptions {
  readonly packages?: string;
  /** What the commands are started with, such as that of a world that stands in for the real one. */
  readonly launcher?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export async function deploy(options: DeploymentOptions = {}): Promise<Deployment> {
  const statePath = await mkdtemp(join(tmpdir(), "nixport-e2e-"));
  const [port, edgePort] = [await freePort(), await freePort()];
  const env = {
    ...(process.env as Record<string, string>),
    NIXPORT_STATE: statePath,
    NIXERY_PKGS_PATH: options.packages ?? DEBIAN_SET,
    // The packages of the tests' own sets are built with the host's programs.
    NIX_CONFIG: `${debianSetNixConfig(process.env.NIX_CONFIG)}\nsandbox = false`,
    PORT: String(port),
    EDGE_PORT: String(edgePort),
    ...options.env,
  };
  const parts = new Set<Part>();
  const originUrl = `http://127.0.0.1:${port}`;
  const edgeUrl = `http://127.0.0.1:${edgePort}`;
  const urls = { origin: originUrl, edge: edgeUrl };
  const launch = (name: PartName) => {
    const part = launchPart(name, urls[name], env, options.launcher ?? []);
    parts.add(part);
    return part;
  };
  const start = async (name: PartName) => {
    const part = launch(name);
    await part.listening;
    return part;
  };
  return {
    statePath,
    originUrl,
    edgeUrl,
    startOrigin: () => start("origin"),
    startEdge: () => start("edge"),
    launch,
    async close() {
      await Promise.all([...parts].map((part) => part.stop()));
      await rm(statePath, { recursive: true, force: true });
    },
  };
}

function launchPart(
  name: PartName,
  url: string,
  env: Readonly<Record<string, string>>,
  launcher: readonly string[],
): Part {
  const command = [...launcher, process.execPath, join(COMMANDS, `${name}.ts`)];
  const child = spawn(command[0] ?? "", command.slice(1), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: LogLine[] = [];
  const lines = new EventEmitter().setMaxListeners(0);
  const add = (text: string) => {
    const line = parseLine(text);
    log.push(line);
    noteError({ part: name, ...line });
    lines.emit("line", line);
  };
  createInterface(child.stdout).on("line", add);
  createInterface(child.stderr).on("line", add);
  const waitFor: Part["waitFor"] = (what) => waitForLine(child, log, lines, what);
  const listening = waitFor(({ msg }) => msg?.startsWith(`${name} at `) ?? false);
  // Whoever kills it while it starts waits for nothing.
  listening.catch(() => undefined);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    ...{ url, pid: child.pid ?? 0, log, listening, waitFor, isRunning },
    async stop(signal = "SIGTERM") {
      if (!isRunning()) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    },
  };
}

function waitForLine(
  child: ChildProcess,
  log: readonly LogLine[],
  lines: EventEmitter,
  what: (line: LogLine) => boolean,
): Promise<LogLine> {
  const known = log.find(what);
  if (known !== undefined) return Promise.resolve(known);
  const { promise, resolve: found, reject } = Promise.withResolvers<LogLine>();
  const onLine = (line: LogLine) => {
    if (what(line)) found(line);
  };
  const giveUp = (why: string) => {
    const tail = log.slice(-20).map((line) => JSON.stringify(line));
    reject(new Error(`${why}; the last lines:\n${tail.join("\n")}`));
  };
  const onExit = () => giveUp("the process ended before the line came");
  const timer = setTimeout(() => giveUp("the line did not come"), WAIT_DEADLINE_MS);
  lines.on("line", onLine);
  child.once("exit", onExit);
  return promise.finally(() => {
    clearTimeout(timer);
    lines.off("line", onLine);
    child.off("exit", onExit);
  });
}

/** The programs' own JSON lines, or any other text as a message. */
function parseLine(text: string): LogLine {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null) return json as LogLine;
  } catch {
    // Not JSON: a line for people.
  }
  return { msg: text };
}
