// The origin's configuration, read from the environment once at start. Nixery's variables keep
// their names and meaning. Every problem is found before anything is started, and all are reported
// at once.

import { resolve } from "node:path";
import type { AccessSettings } from "../../registry/access/settings.ts";
import { parseSecretKeys, type SecretKey } from "../../registry/between/token.ts";
import type { RedirectStatus } from "../../registry/http/content.ts";
import { isLoopback } from "../../registry/http/loopback.ts";
import type { ZstdUse } from "../../registry/http/negotiation.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import type { LogStyle } from "../log/log.ts";
import { SOURCE_BUILDS, type SourceBuilds } from "../nix/build-policy.ts";
import type { NixpkgsConfig } from "../nix/nixpkgs-config.ts";
import type { Source } from "../sources/source.ts";
import type { StorageConfig } from "../storage/storage.ts";
import { readLogStyle } from "./log-style.ts";
import { type IndexSettings, readIndexSettings } from "./package-index.ts";
import { readPlatforms } from "./platforms.ts";
import { readPolicy } from "./policy.ts";
import { readNixpkgsConfig, readSource } from "./source.ts";
import { readStorage } from "./storage.ts";
import { type EnvironmentVariables, openVariables, type Variables } from "./variables.ts";
import { readZstdUse } from "./zstd.ts";

export type { EnvironmentVariables } from "./variables.ts";

export interface Config extends StorageConfig, IndexSettings {
  readonly host: string;
  readonly port: number;
  readonly source: Source;
  readonly nixpkgsConfig: NixpkgsConfig;
  /** What a name without a platform is built for. */
  readonly platforms: Platforms;
  readonly zstd: ZstdUse;
  readonly statePath: string;
  /** Of a blob that a client gets from the bucket by itself. */
  readonly redirectStatus: RedirectStatus;
  /** The folder of a web site; absent, there is none. */
  readonly webPath: string | null;
  readonly secretKeys: readonly SecretKey[];
  readonly access: "anyone" | "edge";
  /** Who may pull what by themselves; null: whoever reaches the origin. */
  readonly policy: AccessSettings | null;
  /** Who is told how the origin is doing, besides the operators of the policy: this machine's own users. */
  readonly operatorView: "local" | null;
  /** Absent: the origin works alone. */
  readonly edgeUrl: string | null;
  readonly build: SourceBuilds;
  /** Null: as `buildPolicy` has it. */
  readonly maxSourceBuilds: number | null;
  readonly builderTimeoutSeconds: number;
  readonly buildDeadlineMs: number;
  readonly fetchDeadlineMs: number;
  /** Null: for as long as its client waits. */
  readonly holdMs: number | null;
  readonly maxBuilds: number;
  readonly maxEvaluations: number;
  readonly evaluationDeadlineMs: number;
  /** Null: as much as fits the machine. */
  readonly evaluationMemoryBytes: number | null;
  readonly maxQueue: number;
  readonly maxClosureBytes: number;
  readonly pinFreshMs: number;
  readonly failureMemoryMs: number;
  /** 0: no image is tracked. */
  readonly trackMs: number;
  /** Of a package set, besides those that tags have. */
  readonly keptRevisions: number;
  readonly packWorkers: number | null;
  readonly popularityUrl: string | null;
  /** Null: what was counted of the package set is used for ever. */
  readonly popularityRefreshMs: number | null;
  /** Null: what nobody needs is taken away by hand. */
  readonly gcEveryMs: number | null;
  readonly gcKeepMs: number;
  readonly gcMaxBytes: number | null;
  readonly logStyle: LogStyle;
}

export type ConfigResult =
  | { readonly kind: "config"; readonly config: Config }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

export const DEFAULT_PORT = 8788;
export const MAX_PORT = 65_535;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 ** 2;

export function readConfig(env: EnvironmentVariables): ConfigResult {
  const variables = openVariables(env);
  const { url, problems } = variables;
  const source = readSource(variables);
  const platforms = readPlatforms(variables);
  const zstd = readZstdUse(variables);
  const config = {
    ...readAccess(variables),
    policy: readPolicy(variables),
    operatorView: readOperatorView(variables),
    ...readNumbers(variables),
    ...readPlaces(variables),
    ...readBuilds(variables),
    ...readIndexSettings(variables),
    nixpkgsConfig: readNixpkgsConfig(variables),
    popularityUrl: url("NIX_POPULARITY_URL", ["http", "https", "file"]),
    logStyle: readLogStyle(variables),
  };
  if (config.policy !== null && config.bucket?.redirect === "public") {
    variables.problem("NIXPORT_REDIRECT is public: what NIXPORT_POLICY keeps for some is not");
  }
  if (problems.length > 0 || !source || !platforms || !zstd) return { kind: "invalid", problems };
  return { kind: "config", config: { ...config, source, platforms, zstd } };
}

/** Who may reach the origin, and how it and the edge know each other. */
function readAccess({
  text,
  url,
  problem,
}: Variables): Pick<Config, "host" | "secretKeys" | "access" | "edgeUrl"> {
  const host = text("HOST") ?? "127.0.0.1";
  const secret = text("NIXPORT_SECRET");
  const secretKeys = readSecret(secret, problem);
  const access = text("NIXPORT_ACCESS") ?? (isLoopback(host) ? "anyone" : "edge");
  if (access !== "anyone" && access !== "edge") {
    problem(`NIXPORT_ACCESS is ${JSON.stringify(access)}: anyone or edge`);
  }
  if (!isLoopback(host) && secret === undefined) {
    problem(`HOST is ${host}, which is not loopback: NIXPORT_SECRET must be set then`);
  }
  if (isLoopback(host) && access === "edge" && secret === undefined) {
    problem("NIXPORT_ACCESS is edge: NIXPORT_SECRET, by which it is known, must be set too");
  }
  const edgeUrl = url("NIXPORT_EDGE_URL", ["http", "https"]);
  if (edgeUrl !== null && new URL(edgeUrl).pathname !== "/") {
    problem(`NIXPORT_EDGE_URL is ${JSON.stringify(edgeUrl)}: a registry has no path of its own`);
  }
  if (edgeUrl !== null && secretKeys.length === 0) {
    problem("NIXPORT_EDGE_URL is set: NIXPORT_SECRET, the edge's secret, must be set too");
  }
  return { host, secretKeys, access: access === "edge" ? "edge" : "anyone", edgeUrl };
}

function readOperatorView({ text, problem }: Variables): Config["operatorView"] {
  const said = text("NIXPORT_OPERATOR_VIEW");
  if (said === undefined || said === "local") return said ?? null;
  problem(`NIXPORT_OPERATOR_VIEW is ${JSON.stringify(said)}: local, or not set`);
  return null;
}

function readNumbers({ integer }: Variables) {
  return {
    port: integer("PORT", DEFAULT_PORT, 0, MAX_PORT),
    builderTimeoutSeconds: integer("NIX_TIMEOUT", 60, 1, 86_400),
    buildDeadlineMs: 1000 * integer("NIXPORT_BUILD_DEADLINE", 600, 1, 86_400),
    fetchDeadlineMs: 1000 * integer("NIXPORT_FETCH_DEADLINE", 1800, 1, 86_400),
    holdMs: milliseconds(integer("NIXPORT_HOLD", null, 1, 86_400)),
    // One that downloads leaves the machine to one that builds; Nix has a limit of its own in each.
    maxBuilds: integer("NIXPORT_MAX_BUILDS", 4, 1, 256),
    // An evaluation of nixpkgs takes hundreds of megabytes.
    maxEvaluations: integer("NIXPORT_MAX_EVALUATIONS", 2, 1, 256),
    evaluationDeadlineMs: 1000 * integer("NIXPORT_EVALUATION_DEADLINE", 180, 1, 86_400),
    // Nix begins with a heap of 384 MiB.
    evaluationMemoryBytes: integer("NIXPORT_EVALUATION_MEMORY", null, 512 * MIB, 1024 ** 5),
    maxQueue: integer("NIXPORT_MAX_QUEUE", 100, 0, 10_000),
    maxClosureBytes: integer("NIXPORT_MAX_CLOSURE_BYTES", 32 * 1024 ** 3, 1, 1024 ** 5),
    pinFreshMs: 1000 * integer("NIXPORT_PIN_FRESH", 300, 0, 86_400 * 30),
    failureMemoryMs: 1000 * integer("NIXPORT_FAILURE_MEMORY", 60, 0, 86_400),
    trackMs: DAY_MS * integer("NIXPORT_TRACK_DAYS", 7, 0, 365),
    // One of nixpkgs takes some 300 MB in the store.
    keptRevisions: integer("NIXPORT_KEPT_REVISIONS", 50, 0, 10_000),
    popularityRefreshMs: DAY_MS * integer("NIXPORT_POPULARITY_REFRESH", 0, 0, 3650) || null,
    packWorkers: integer("NIXPORT_PACK_WORKERS", 0, 0, 256) || null,
    gcEveryMs: HOUR_MS * integer("NIXPORT_GC_HOURS", 0, 0, 8760) || null,
    gcKeepMs: DAY_MS * integer("NIXPORT_GC_KEEP_DAYS", 30, 1, 3650),
    gcMaxBytes: integer("NIXPORT_GC_MAX_BYTES", null, 1, 1024 ** 5),
  };
}

function milliseconds(seconds: number | null): number | null {
  return seconds === null ? null : 1000 * seconds;
}

function readBuilds({ text, integer, problem }: Variables) {
  const said = text("NIXPORT_BUILD") ?? "missing";
  const build = SOURCE_BUILDS.find((each) => each === said);
  if (build === undefined) {
    problem(`NIXPORT_BUILD is ${JSON.stringify(said)}: one of ${SOURCE_BUILDS.join(", ")}`);
  }
  return {
    build: build ?? "missing",
    maxSourceBuilds: integer("NIXPORT_MAX_SOURCE_BUILDS", null, 0, 1_000_000),
  };
}

function readPlaces(variables: Variables) {
  const { text } = variables;
  const statePath = resolve(text("NIXPORT_STATE") ?? ".nixport");
  const web = text("WEB_DIR");
  return {
    statePath,
    webPath: web === undefined ? null : resolve(web),
    ...readStorage(variables, statePath),
  };
}

function readSecret(
  secret: string | undefined,
  problem: Variables["problem"],
): readonly SecretKey[] {
  if (secret === undefined) return [];
  const keys = parseSecretKeys(secret);
  if (typeof keys !== "string") return keys;
  problem(`NIXPORT_SECRET: ${keys}`);
  return [];
}
