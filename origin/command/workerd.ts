// Runs the Worker in the runtime it is deployed to, on this machine: bindings as wrangler.toml
// names them, KV and R2 kept in the state. The Worker is bundled by its path, never imported.

import { once } from "node:events";
import { access, constants, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import {
  convertV4MiniflareOptions,
  Log,
  LogLevel,
  Miniflare,
  type V4WorkerOptionsShape,
} from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { buildInto } from "../../page/build.ts";
import type { ZstdUse } from "../../registry/http/negotiation.ts";
import { formatPlatforms, type Platforms } from "../../registry/http/platforms.ts";

export interface EdgeOptions {
  /** 0 chooses a free one. */
  readonly port: number;
  readonly statePath: string;
  readonly originUrl: string;
  /** Instead of the one. */
  readonly originUrls?: readonly string[];
  readonly secret: string;
  readonly pinFreshSeconds?: number;
  readonly pointerMemorySeconds?: number;
  readonly originWaitSeconds?: number;
  readonly platforms?: Platforms;
  readonly zstd?: ZstdUse;
  readonly redirect?: "follow" | "never";
  /** Who may pull what, as JSON; absent, everybody everything. */
  readonly policy?: string;
  /** A bucket's own address, which a local one has not. */
  readonly blobsUrl?: string;
  /** Asks the entrypoint for whole blobs that Workers Cache stands before, though here none does. */
  readonly workersCache?: boolean;
  /** Another module than the Worker's own, such as one that wraps it in a test. */
  readonly entryPath?: string;
  /** A line for each pull by tag that is answered from what is cached. */
  readonly logPulls?: boolean;
  /** Off by default: behind 127.0.0.1 all clients share one address. */
  readonly limitMisses?: boolean;
  /** Gets what the Worker logs, line by line. */
  readonly onLog?: (line: string) => void;
}

export interface RunningEdge {
  readonly url: string;
  /** The runtime itself, for looking into KV and R2. */
  readonly miniflare: Miniflare;
  close(): Promise<void>;
}

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const HOST = "127.0.0.1";
const RUNTIME_SCRIPT = join(ROOT, "origin/command/workerd.sh");

export async function startEdge(options: EdgeOptions): Promise<RunningEdge> {
  await requireFreePort(options.port);
  await tieRuntime();
  // Read when it is called, so set before: nothing here may phone home.
  process.env.WRANGLER_SEND_METRICS = "false";
  const { workerOptions, main } = unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml"));
  const entryPath = options.entryPath ?? main;
  if (entryPath === undefined) throw new Error("wrangler.toml names no main module");
  const statePath = join(options.statePath, "edge");
  await mkdir(statePath, { recursive: true });

  const { ratelimits, assets, ...bound }: V4WorkerOptionsShape = workerOptions;
  const pages = join(options.statePath, "page");
  await buildInto(pages);
  const miniflareOptions = convertV4MiniflareOptions({
    ...bound,
    ...(options.limitMisses && ratelimits && { ratelimits }),
    bindings: {
      ...bound.bindings,
      ORIGIN_URL: options.originUrl,
      ...(options.originUrls && { ORIGIN_URLS: options.originUrls.join(",") }),
      NIXPORT_SECRET: options.secret,
      ...(options.pinFreshSeconds !== undefined && {
        PIN_FRESH_SECONDS: String(options.pinFreshSeconds),
      }),
      ...(options.pointerMemorySeconds !== undefined && {
        POINTER_MEMORY_SECONDS: String(options.pointerMemorySeconds),
      }),
      ...(options.originWaitSeconds !== undefined && {
        ORIGIN_WAIT_SECONDS: String(options.originWaitSeconds),
      }),
      ...(options.logPulls && { LOG_PULLS: "1" }),
      ...(options.platforms && { PLATFORMS: formatPlatforms(options.platforms) }),
      ...(options.zstd && { NIXPORT_ZSTD: options.zstd }),
      ...(options.policy && { NIXPORT_POLICY: options.policy }),
      ...(options.redirect && { NIXPORT_REDIRECT: options.redirect }),
      ...(options.blobsUrl && { BLOBS_URL: options.blobsUrl }),
      ...(options.workersCache && { WORKERS_CACHE: "on" }),
    },
    // The files alone: what else stands before a Worker with assets would take its part of each pull.
    ...(assets?.binding && {
      serviceBindings: { [assets.binding]: { disk: { path: pages, writable: false } } },
    }),
    modules: [{ type: "ESModule", path: "worker.js", contents: await bundle(entryPath) }],
    // Clients talk to the Worker itself. What Miniflare listens on has routes and headers of its own,
    // by which whoever reaches it may choose the host of a request, or see what is stored.
    unsafeDirectSockets: [{ host: HOST, port: options.port }],
    host: HOST,
    port: 0,
    resourcePersistencePath: statePath,
    // No request to describe the client's location, and no usage reports.
    cf: false,
    telemetry: { enabled: false },
    logRequests: false,
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ message }) => (options.onLog ?? writeLine)(message),
  });
  const miniflare = withoutSignalHandlers(() => new Miniflare(miniflareOptions));
  try {
    const url = (await miniflare.unsafeGetDirectURL()).href.replace(/\/$/, "");
    return { url, miniflare, close: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/**
 * Miniflare ends the whole process at a signal, with an exit code of its own. When to end is the
 * caller's to say, by `close`; what Miniflare does at a plain exit, ending the runtime, stays.
 */
function withoutSignalHandlers<Result>(create: () => Result): Result {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const own = new Set(signals.flatMap((signal) => process.listeners(signal)));
  const result = create();
  for (const signal of signals) {
    for (const listener of process.listeners(signal)) {
      if (!own.has(listener)) process.off(signal, listener);
    }
  }
  return result;
}

/** Miniflare ends its runtime when it ends itself, but a killed process does nothing any more. */
async function tieRuntime(): Promise<void> {
  if (process.env.MINIFLARE_WORKERD_PATH !== undefined) return;
  try {
    await access(RUNTIME_SCRIPT, constants.X_OK);
  } catch {
    // A copy of the checkout without modes: the runtime is started plainly.
    return;
  }
  process.env.NIXPORT_WORKERD = createRequire(import.meta.url)("workerd").default;
  process.env.MINIFLARE_WORKERD_PATH = RUNTIME_SCRIPT;
}

async function bundle(entryPath: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entryPath],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    // As wrangler resolves packages: what they offer Workers first.
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    logLevel: "silent",
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error(`${entryPath} gave no bundle`);
  return output.text;
}

/** Throws what any server throws for a port that is taken; the runtime says less, and later. */
async function requireFreePort(port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer().listen({ host: HOST, port });
  await once(probe, "listening");
  probe.close();
  await once(probe, "close");
}

function writeLine(line: string): void {
  process.stderr.write(`${line}\n`);
}
