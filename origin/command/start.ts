// `npm start`: everything on one machine. Prepares it, starts the origin and the edge as processes
// of their own, so that either can end without the other, and says when an image can be pulled.

import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DEFAULT_PORT } from "../configuration/config.ts";
import { examineBesideStart } from "../doctor/beside-start.ts";
import { edgeProblem } from "./edge-runtime.ts";
import { edgeUrlOf, localEnvironment, statePathOf } from "./local-environment.ts";
import { asParent, endWith, fail, isListening, onStop } from "./process.ts";

const HELP = `usage: npm start

Installs what is missing (npm packages, Nix), starts the origin and the edge on this machine and
prints a line starting "nixport ready". Ctrl-C ends both.

  EDGE_PORT       port of the edge, where clients pull (8787)
  PORT            port of the origin (8788)
  NIXPORT_STATE   where everything is kept (.nixport); deleting it is always safe
  NIXPORT_FLAKE, NIXERY_CHANNEL, NIXERY_PKGS_REPO, NIXERY_PKGS_PATH   where packages come from

docs/configuration.md lists the rest.
`;

/**
 * Longer than an origin waits for popularity data (60 s) and counts what there is none of (20 s),
 * and meanwhile for its source (60 s).
 */
const READY_DEADLINE_MS = 120_000;
const KILL_AFTER_MS = 15_000;

await endWith(async () => {
  if (parseArgs({ options: { help: { type: "boolean", short: "h" } } }).values.help) {
    process.stdout.write(HELP);
    return;
  }
  const stopped = onStop();
  const say = (line: string) => process.stdout.write(`${line}\n`);
  const prepared = await Promise.race([localEnvironment(process.env, say), stopped]);
  // Stopped while it installs or fetches: what that has started ends with this process.
  if (prepared === undefined) return;
  const noEdge = await edgeProblem(prepared);
  const env = noEdge === undefined ? prepared : withoutLocalEdge(prepared);
  const examined = examineBesideStart(env, statePathOf(env));
  const originUrl = `http://127.0.0.1:${env.PORT?.trim() || DEFAULT_PORT}`;
  const edgeUrl = edgeUrlOf(env);
  const parts = noEdge === undefined ? (["origin", "edge"] as const) : (["origin"] as const);
  const children = parts.map((name) => startChild(name, env));
  const allEnded = Promise.all(children.map(({ ended }) => ended));

  try {
    const ready = Promise.all(children.map(({ listening }) => listening));
    const outcome = await Promise.race([
      ready.then(() => "ready" as const),
      setTimeout(READY_DEADLINE_MS, "late" as const, { ref: false }),
      ...children.map(({ ended }) => ended.then(() => "ended" as const)),
      stopped.then(() => "stopped" as const),
    ]);
    for (const line of examined.end()) process.stdout.write(`${line}\n`);
    if (outcome === "ended") fail("a part did not start; its message is above");
    if (outcome === "late") fail(`not ready within ${READY_DEADLINE_MS / 1000} s`);
    if (outcome === "ready") {
      const [shortcoming] = (await ready).flatMap((each) => each ?? []);
      process.stdout.write(`${readyLine({ originUrl, edgeUrl, noEdge, shortcoming })}\n`);
      let stopping = false;
      for (const { name, ended } of children) {
        void ended.then((how) => stopping || sayEnded(name, how));
      }
      await Promise.race([stopped, allEnded]);
      stopping = true;
    }
  } finally {
    for (const { child } of children) stopChild(child);
    await allEnded;
  }
});

/** The origin would push everything to where nothing answers; another edge that was named stays. */
function withoutLocalEdge(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { NIXPORT_EDGE_URL, ...others } = env;
  return NIXPORT_EDGE_URL === undefined || NIXPORT_EDGE_URL === edgeUrlOf(env) ? others : env;
}

interface Readiness {
  readonly originUrl: string;
  readonly edgeUrl: string;
  /** Why there is none. */
  readonly noEdge: string | undefined;
  /** What keeps the origin from making images. */
  readonly shortcoming: string | undefined;
}

function readyLine({ originUrl, edgeUrl, noEdge, shortcoming }: Readiness): string {
  const clientUrl = noEdge === undefined ? edgeUrl : originUrl;
  const pull = `try: docker pull ${clientUrl.slice("http://".length)}/shell/git/htop`;
  const urls =
    noEdge === undefined ? `edge ${edgeUrl}, origin ${originUrl}` : `origin ${originUrl}`;
  const without = noEdge === undefined ? "" : `; no edge: ${noEdge}`;
  if (shortcoming !== undefined) return `nixport ready, but ${shortcoming}; ${urls}${without}`;
  return `nixport ready: ${urls}; ${pull}${without}`;
}

interface Child {
  readonly name: string;
  readonly child: ChildProcess;
  /** By its own word, since whatever else answers at its port is none of ours: what it lacks. */
  readonly listening: Promise<string | null>;
  /** How it ended, in words. */
  readonly ended: Promise<string>;
}

function startChild(name: "origin" | "edge", env: Readonly<Record<string, string>>): Child {
  const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  // Out of the terminal's process group: the order of ending is this process's to choose.
  const stdio = ["inherit", "inherit", "inherit", "ipc"] as const;
  const child = spawn(process.execPath, [script], {
    ...{ stdio: [...stdio], detached: true },
    env: { ...env, ...asParent() },
  });
  const { promise: listening, resolve: listens } = Promise.withResolvers<string | null>();
  child.on("message", (message) => isListening(message) && listens(message.shortcoming));
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  child.once("error", (error) => resolve(error.message));
  child.once("exit", (code, signal) => resolve(signal ?? `exit ${code}`));
  return { name, child, listening, ended };
}

function stopChild(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  void setTimeout(KILL_AFTER_MS, undefined, { ref: false }).then(() => child.kill("SIGKILL"));
}

/** One part that ends does not end the other: what is cached keeps pulling without the origin. */
function sayEnded(name: string, how: string): void {
  process.stdout.write(
    `nixport: the ${name} has ended (${how}); npm run ${name} starts it again\n`,
  );
}
