// The origin's configuration, read from the environment once at start. Nixery's variables keep their
// names and meaning. Every problem is found before anything is started, and all are reported at once.

import { isIPv4, isIPv6 } from "node:net";
import { resolve } from "node:path";
import type { Platforms } from "../registry/platforms.ts";
import { parseSecretKeys, type SecretKey } from "../registry/token.ts";
import { PLATFORMS_HINT, readPlatforms } from "./configured-platforms.ts";
import { type NixpkgsConfig, parseNixpkgsConfig } from "./nix/nixpkgs-config.ts";
import { parseFlakeReference } from "./sources/flake-reference.ts";
import { NIXPKGS_URL, type Source } from "./sources/source.ts";

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly source: Source;
  readonly nixpkgsConfig: NixpkgsConfig;
  /** What a name without a platform is built for. */
  readonly platforms: Platforms;
  readonly statePath: string;
  readonly storagePath: string;
  readonly secretKeys: readonly SecretKey[];
  readonly access: "anyone" | "edge";
  /** Absent: the origin works alone. */
  readonly edgeUrl: string | null;
  readonly builderTimeoutSeconds: number;
  readonly buildDeadlineMs: number;
  readonly holdMs: number;
  readonly maxBuilds: number;
  readonly maxEvaluations: number;
  readonly maxQueue: number;
  readonly maxClosureBytes: number;
  readonly pinFreshMs: number;
  readonly failureMemoryMs: number;
  /** 0: no image is tracked. */
  readonly trackMs: number;
  readonly packWorkers: number | null;
  readonly popularityUrl: string | null;
  /** Null: what was counted of the package set is used for ever. */
  readonly popularityRefreshMs: number | null;
  readonly logLevel: string;
}

export type ConfigResult =
  | { readonly kind: "config"; readonly config: Config }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

export const DEFAULT_PORT = 8788;
/** Any of these says where packages come from. */
export const SOURCE_VARIABLES = [
  "NIXPORT_FLAKE",
  "NIXERY_CHANNEL",
  "NIXERY_PKGS_REPO",
  "NIXERY_PKGS_PATH",
] as const;
const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"];

export function readConfig(env: EnvironmentVariables): ConfigResult {
  const problems: string[] = [];
  const problem = (text: string) => {
    problems.push(text);
    return undefined;
  };
  const text = (name: string) => (env[name]?.trim() ? env[name].trim() : undefined);
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    problem(`${name} is ${JSON.stringify(value)}: a whole number from ${min} to ${max} is needed`);
    return fallback;
  };
  const url = (
    name: string,
    allowed = /^https?:/,
    what = "an http or https URL",
  ): string | null => {
    const value = text(name);
    if (value === undefined) return null;
    if (URL.canParse(value) && allowed.test(value)) return value;
    problem(`${name} is ${JSON.stringify(value)}: ${what} is needed`);
    return null;
  };

  const host = text("HOST") ?? "127.0.0.1";
  const statePath = resolve(text("NIXPORT_STATE") ?? ".nixport");
  const secretKeys = readSecret(text("NIXPORT_SECRET"), problem);
  const access = text("NIXPORT_ACCESS") ?? (isLoopback(host) ? "anyone" : "edge");
  if (access !== "anyone" && access !== "edge") {
    problem(`NIXPORT_ACCESS is ${JSON.stringify(access)}: anyone or edge`);
  }
  if (!isLoopback(host) && text("NIXPORT_SECRET") === undefined) {
    problem(`HOST is ${host}, which is not loopback: NIXPORT_SECRET must be set then`);
  }
  if (isLoopback(host) && access === "edge" && text("NIXPORT_SECRET") === undefined) {
    problem("NIXPORT_ACCESS is edge: NIXPORT_SECRET, by which it is known, must be set too");
  }
  const edgeUrl = url("NIXPORT_EDGE_URL");
  if (edgeUrl !== null && secretKeys.length === 0) {
    problem("NIXPORT_EDGE_URL is set: NIXPORT_SECRET, the edge's secret, must be set too");
  }
  const storagePath = readStorage(text, statePath, problem);
  const logLevel = text("NIXPORT_LOG_LEVEL") ?? "info";
  if (!LOG_LEVELS.includes(logLevel)) {
    problem(`NIXPORT_LOG_LEVEL is ${JSON.stringify(logLevel)}: one of ${LOG_LEVELS.join(", ")}`);
  }
  const source = readSource(text, problem);
  const nixpkgsConfig = readNixpkgsConfig(text, problem);
  const platforms = readPlatforms(env);
  if (platforms === undefined) {
    problem(`NIXPORT_PLATFORMS is ${JSON.stringify(text("NIXPORT_PLATFORMS"))}: ${PLATFORMS_HINT}`);
  }
  const numbers = {
    port: integer("PORT", DEFAULT_PORT, 0, 65_535),
    builderTimeoutSeconds: integer("NIX_TIMEOUT", 60, 1, 86_400),
    buildDeadlineMs: 1000 * integer("NIXPORT_BUILD_DEADLINE", 600, 1, 86_400),
    // Below the 60 s after which common proxies give up.
    holdMs: 1000 * integer("NIXPORT_HOLD", 50, 1, 86_400),
    // One that downloads leaves the machine to one that builds; Nix has a limit of its own in each.
    maxBuilds: integer("NIXPORT_MAX_BUILDS", 4, 1, 256),
    // An evaluation of nixpkgs takes hundreds of megabytes.
    maxEvaluations: integer("NIXPORT_MAX_EVALUATIONS", 2, 1, 256),
    maxQueue: integer("NIXPORT_MAX_QUEUE", 100, 0, 10_000),
    maxClosureBytes: integer("NIXPORT_MAX_CLOSURE_BYTES", 32 * 1024 ** 3, 1, 1024 ** 5),
    pinFreshMs: 1000 * integer("NIXPORT_PIN_FRESH", 300, 0, 86_400 * 30),
    failureMemoryMs: 1000 * integer("NIXPORT_FAILURE_MEMORY", 60, 0, 86_400),
    trackMs: 86_400_000 * integer("NIXPORT_TRACK_DAYS", 7, 0, 365),
    packWorkers: integer("NIXPORT_PACK_WORKERS", 0, 0, 256) || null,
  };
  const popularityUrl = url(
    "NIX_POPULARITY_URL",
    /^(?:https?|file):\/\//,
    "an http, https or file URL",
  );
  const refreshDays = integer("NIXPORT_POPULARITY_REFRESH", 0, 0, 3650);
  if (problems.length > 0 || source === undefined || platforms === undefined)
    return { kind: "invalid", problems };
  return {
    kind: "config",
    config: {
      ...numbers,
      host,
      source,
      nixpkgsConfig,
      platforms,
      statePath,
      storagePath,
      secretKeys,
      access: access === "edge" ? "edge" : "anyone",
      edgeUrl,
      popularityUrl,
      popularityRefreshMs: refreshDays === 0 ? null : refreshDays * 86_400_000,
      logLevel,
    },
  };
}

type Reader = (name: string) => string | undefined;
type Problem = (text: string) => undefined;

function readSecret(secret: string | undefined, problem: Problem): readonly SecretKey[] {
  if (secret === undefined) return [];
  const keys = parseSecretKeys(secret);
  if (typeof keys !== "string") return keys;
  problem(`NIXPORT_SECRET: ${keys}`);
  return [];
}

/** A ref or a commit, as git allows the names of refs; what may not start an option or a path. */
const REVISION = /^(?!.*(?:\.\.|\/\/|@\{))[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,199}$/;

/** The flake first, which only nixport knows; then Nixery's order: channel, repository, path. */
function readSource(text: Reader, problem: Problem): Source | undefined {
  const latest = text("NIXPORT_DEFAULT_TAG");
  if (latest !== undefined && !REVISION.test(latest)) {
    problem(`NIXPORT_DEFAULT_TAG is ${JSON.stringify(latest)}: a branch, a git tag or a commit`);
  }
  const source = readPlace(text, problem);
  if (source === undefined || latest === undefined) return source;
  switch (source.kind) {
    case "nixpkgs":
      return { ...source, channel: latest };
    case "git":
      return { ...source, latest };
    case "flake":
      if (parseFlakeReference(source.url).kind === "git") return { ...source, latest };
      return problem(
        "NIXPORT_DEFAULT_TAG is set: a flake that is no git repository has latest only",
      );
    case "path":
      return problem("NIXPORT_DEFAULT_TAG is set: a local path has the tag latest only");
    default:
      return source satisfies never;
  }
}

function readPlace(text: Reader, problem: Problem): Source | undefined {
  const flake = text("NIXPORT_FLAKE");
  if (flake !== undefined) {
    const reference = parseFlakeReference(flake);
    if (reference.kind !== "invalid") return { kind: "flake", url: flake };
    return problem(`NIXPORT_FLAKE is ${JSON.stringify(flake)}: ${reference.why}`);
  }
  const channel = text("NIXERY_CHANNEL");
  if (channel !== undefined) {
    if (REVISION.test(channel)) return { kind: "nixpkgs", url: NIXPKGS_URL, channel };
    return problem(`NIXERY_CHANNEL is ${JSON.stringify(channel)}: a branch or a commit of nixpkgs`);
  }
  const repository = text("NIXERY_PKGS_REPO");
  if (repository !== undefined) {
    if (/^(?:https?|ssh|git|file):\/\/|^[^-:][^:]*@[^:]+:|^\//.test(repository)) {
      return { kind: "git", url: repository };
    }
    return problem(`NIXERY_PKGS_REPO is ${JSON.stringify(repository)}: a git URL is needed`);
  }
  const path = text("NIXERY_PKGS_PATH");
  if (path !== undefined) return { kind: "path", path: resolve(path) };
  return problem(
    `no package source: set one of ${SOURCE_VARIABLES.join(", ")}, such as NIXERY_CHANNEL=nixos-unstable`,
  );
}

/** Variables that nixpkgs reads itself. As settings they are part of what a pin means. */
const NIXPKGS_SWITCHES = [
  ["NIXPKGS_ALLOW_UNFREE", "allowUnfree"],
  ["NIXPKGS_ALLOW_BROKEN", "allowBroken"],
  ["NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM", "allowUnsupportedSystem"],
  ["NIXPKGS_ALLOW_INSECURE", "allowInsecure"],
] as const;

function readNixpkgsConfig(text: Reader, problem: Problem): NixpkgsConfig {
  const switched = NIXPKGS_SWITCHES.filter(([variable]) => text(variable) === "1");
  const fromSwitches = Object.fromEntries(switched.map(([, setting]) => [setting, true]));
  const value = text("NIXPORT_NIXPKGS_CONFIG");
  const written = value === undefined ? {} : parseNixpkgsConfig(value);
  if (written === undefined) {
    problem(
      'NIXPORT_NIXPKGS_CONFIG is no JSON object of at most 16 KiB, such as {"allowUnfree":true}',
    );
  }
  return { ...fromSwitches, ...written };
}

function readStorage(text: Reader, statePath: string, problem: Problem): string {
  const backend = text("NIXERY_STORAGE_BACKEND") ?? "filesystem";
  if (backend !== "filesystem") {
    problem(`NIXERY_STORAGE_BACKEND is ${JSON.stringify(backend)}: only filesystem is built in`);
  }
  const path = text("STORAGE_PATH");
  return path === undefined ? resolve(statePath, "origin") : resolve(path);
}

export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  if (isIPv6(host)) return host === "::1";
  return host === "localhost";
}
