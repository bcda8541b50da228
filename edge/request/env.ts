// The Worker's bindings, and the settings read from them. wrangler.toml says what each is for.

import { parseSecretKeys, type SecretKey } from "../../registry/between/token.ts";
import { parseZstdUse, ZSTD_USES, type ZstdUse } from "../../registry/http/negotiation.ts";
import { type Platforms, parsePlatforms } from "../../registry/http/platforms.ts";

export interface Env {
  readonly KV: KVNamespace;
  readonly R2: R2Bucket;
  /** What pages load; without it there are none. */
  readonly ASSETS?: Pick<Fetcher, "fetch">;
  readonly MISS_LIMIT?: RateLimit;
  readonly KEEP_LIMIT?: RateLimit;
  readonly LOGIN_LIMIT?: RateLimit;
  readonly ORIGIN_URL?: string;
  readonly ORIGIN_URLS?: string;
  readonly NIXPORT_SECRET?: string;
  readonly PIN_FRESH_SECONDS?: string;
  readonly POINTER_MEMORY_SECONDS?: string;
  readonly ORIGIN_WAIT_SECONDS?: string;
  readonly PLATFORMS?: string;
  readonly NIXPORT_ZSTD?: string;
  readonly NIXPORT_REDIRECT?: string;
  readonly BLOBS_URL?: string;
  readonly WORKERS_CACHE?: string;
  readonly LOG_PULLS?: string;
  readonly NIXPORT_POLICY?: string;
}

export interface Settings {
  /** Empty where it names no origin: then every miss is 503. */
  readonly originUrls: readonly string[];
  readonly secretKeys: readonly SecretKey[];
  readonly pinFreshMs: number;
  readonly pointerMemoryMs: number;
  readonly originWaitMs: number;
  readonly platforms: Platforms;
  readonly zstd: ZstdUse;
  /** Whether it gets blobs itself from where the origin keeps them. */
  readonly followsRedirects: boolean;
  /** Whether whole blobs are asked of the entrypoint that Workers Cache stands before. */
  readonly usesWorkersCache: boolean;
  /** Where anyone gets what R2 holds, by its keys, without a slash at the end. */
  readonly blobsUrl: string | undefined;
  /** Of local starts, where a person reads along: a line for each pull by tag that was cached. */
  readonly logsPulls: boolean;
  /** What is wrong with the environment. Pulls of what is cached go on all the same. */
  readonly problem: string | undefined;
}

const DEFAULT_PIN_FRESH_SECONDS = 300;
/** A hot tag is asked for many times in this time, and what moved it has taken longer. */
const DEFAULT_POINTER_MEMORY_SECONDS = 5;
/** As long as an origin lets a build take, and a minute for what comes before it and after. */
const DEFAULT_ORIGIN_WAIT_SECONDS = 660;
const DEFAULT_PLATFORMS: Platforms = ["amd64"];
/** Each may be asked for a miss, and a request of a Worker may ask 50 times in all on the free plan. */
const MAX_ORIGINS = 8;

export function readSettings(env: Env): Settings {
  const { NIXPORT_SECRET, PIN_FRESH_SECONDS, ORIGIN_WAIT_SECONDS, PLATFORMS } = env;
  const problems: string[] = [];
  const originUrls = readOrigins(env, problems);
  const keys = NIXPORT_SECRET ? parseSecretKeys(NIXPORT_SECRET) : [];
  if (typeof keys === "string") problems.push(`NIXPORT_SECRET: ${keys}`);

  const milliseconds = (name: string, text: string | undefined, fallback: number) => {
    const isNumber = /^\d{1,9}$/.test(text ?? "");
    if (text && !isNumber) problems.push(`${name}: not a number of seconds`);
    return 1000 * (isNumber ? Number(text) : fallback);
  };
  const pinFreshMs = milliseconds(
    "PIN_FRESH_SECONDS",
    PIN_FRESH_SECONDS,
    DEFAULT_PIN_FRESH_SECONDS,
  );
  const pointerMemoryMs = milliseconds(
    "POINTER_MEMORY_SECONDS",
    env.POINTER_MEMORY_SECONDS,
    DEFAULT_POINTER_MEMORY_SECONDS,
  );
  const originWaitMs = milliseconds(
    "ORIGIN_WAIT_SECONDS",
    ORIGIN_WAIT_SECONDS,
    DEFAULT_ORIGIN_WAIT_SECONDS,
  );
  const platforms = PLATFORMS ? parsePlatforms(PLATFORMS) : DEFAULT_PLATFORMS;
  if (platforms === undefined) problems.push("PLATFORMS: not like linux/amd64,linux/arm64");
  const zstd = parseZstdUse(env.NIXPORT_ZSTD);
  if (zstd === undefined) problems.push(`NIXPORT_ZSTD: one of ${ZSTD_USES.join(", ")}`);
  const redirect = env.NIXPORT_REDIRECT || "follow";
  if (!/^(?:follow|never)$/.test(redirect)) problems.push("NIXPORT_REDIRECT: one of follow, never");
  const blobsUrl = env.BLOBS_URL ? folderUrl(env.BLOBS_URL) : undefined;
  if (env.BLOBS_URL && blobsUrl === undefined) {
    problems.push("BLOBS_URL: not like https://blobs.example.org");
  }
  if (!/^(?:on|off|)$/.test(env.WORKERS_CACHE ?? ""))
    problems.push("WORKERS_CACHE: one of on, off");
  const isRestricted = Boolean(env.NIXPORT_POLICY);
  if (blobsUrl !== undefined && isRestricted) {
    problems.push(
      "BLOBS_URL: not used with NIXPORT_POLICY, since the bucket's address asks for no right",
    );
  }
  return {
    originUrls,
    secretKeys: typeof keys === "string" ? [] : keys,
    pinFreshMs,
    pointerMemoryMs,
    originWaitMs,
    platforms: platforms ?? DEFAULT_PLATFORMS,
    // A form that everybody reads is the safe reading of a word that nobody knows.
    zstd: zstd ?? "never",
    followsRedirects: redirect !== "never",
    usesWorkersCache: env.WORKERS_CACHE === "on",
    blobsUrl: isRestricted ? undefined : blobsUrl,
    logsPulls: env.LOG_PULLS === "1",
    problem: problems.length > 0 ? problems.join("; ") : undefined,
  };
}

/** Several count instead of the one. Those that are none are told, and the others asked. */
function readOrigins(env: Env, problems: string[]): readonly string[] {
  const { ORIGIN_URL, ORIGIN_URLS } = env;
  const name = ORIGIN_URLS ? "ORIGIN_URLS" : "ORIGIN_URL";
  const texts = (ORIGIN_URLS || ORIGIN_URL || "").split(",").map((text) => text.trim());
  const roots = texts.filter(isRoot).map((text) => new URL(text).origin);
  if (roots.length < texts.length) {
    problems.push(`${name}: not like https://origin.example.org, without a path`);
  }
  const urls = [...new Set(roots)];
  if (urls.length > MAX_ORIGINS) problems.push(`${name}: ${MAX_ORIGINS} are asked, not more`);
  return urls.slice(0, MAX_ORIGINS);
}

/** Requests are signed for their path at the origin, so it lies at the root of its host. */
function isRoot(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, href, origin } = new URL(text);
  return /^https?:$/.test(protocol) && href === `${origin}/`;
}

/** It goes to anyone, so it names nobody, and a key is put behind it. */
function folderUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const { username, password, search, hash, href } = url;
  return [username, password, search, hash].join("") === "" ? href.replace(/\/+$/, "") : undefined;
}
