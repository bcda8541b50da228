// The keys by which issuers sign their tokens: fetched where the operator has said, within limits, and
// remembered for a while. Whoever makes tokens up cannot have them fetched more than twice a minute.

import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import * as v from "valibot";
import { isYounger } from "../between/age.ts";
import { cancelBody, readLimited } from "../http/body.ts";
import { RegistryError } from "../http/error.ts";
import { parseJson } from "../http/json.ts";
import type { Issuer } from "./settings.ts";

/** Whether the key that somebody wants is among them. */
export type HasKey = (keys: JWTVerifyGetKey) => Promise<boolean>;

/** Throws UNAVAILABLE where the issuer does not give them. */
export type Keys = (issuer: Issuer, hasKey: HasKey) => Promise<JWTVerifyGetKey>;

/** What outlives a request: the keys and when they came, and no promise of them. */
export interface IssuerKeys {
  of(issuer: Issuer, hasKey: HasKey, fetching: Fetching): Promise<JWTVerifyGetKey>;
}

export interface Fetching {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly nowMs: number;
}

/** Issuers sign with a new key only a while after they have shown it. */
const FRESH_MS = 600_000;
/** A key that is not among them may be newer than they are. */
const PATIENCE_MS = 30_000;
/** An issuer that is down is asked no more often. */
const RETRY_MS = 5000;
const DEADLINE_MS = 5000;
const MAX_BYTES = 64 * 1024;
const MAX_KEYS = 32;

const keysSchema = v.object({
  keys: v.pipe(v.array(v.looseObject({ kty: v.string() })), v.maxLength(MAX_KEYS)),
});
const discoverySchema = v.object({ issuer: v.string(), jwks_uri: v.string() });

interface Known {
  /** Undefined where the issuer did not give them. */
  readonly keys: JWTVerifyGetKey | undefined;
  readonly atMs: number;
}

export function createIssuerKeys(): IssuerKeys {
  /** Bounded by the issuers that the operator has named. */
  const known = new Map<string, Known>();
  return {
    async of(issuer, hasKey, { fetch, nowMs }) {
      const before = known.get(issuer.url);
      const isWithin = (ms: number) => before !== undefined && isYounger(before.atMs, nowMs, ms);
      if (before?.keys === undefined) {
        if (isWithin(RETRY_MS)) throw silent(issuer.url, "no keys");
      } else if (isWithin(PATIENCE_MS) || (isWithin(FRESH_MS) && (await hasKey(before.keys)))) {
        return before.keys;
      }
      // Those who come meanwhile take what was there before.
      known.set(issuer.url, { keys: before?.keys, atMs: nowMs });
      const keys = await fetchKeys(issuer, fetch);
      known.set(issuer.url, { keys, atMs: nowMs });
      return keys;
    },
  };
}

type Fetch = Fetching["fetch"];

async function fetchKeys({ url, keysUrl }: Issuer, fetch: Fetch): Promise<JWTVerifyGetKey> {
  const json = await fetchJson(url, keysUrl ?? (await discover(url, fetch)), fetch);
  const parsed = v.safeParse(keysSchema, json);
  if (!parsed.success) throw silent(url, "no keys");
  return createLocalJWKSet(parsed.output as JSONWebKeySet);
}

/** OpenID Connect Discovery §4: it must say of itself that it is the issuer. */
async function discover(url: string, fetch: Fetch): Promise<string> {
  const place = `${url.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const parsed = v.safeParse(discoverySchema, await fetchJson(url, place, fetch));
  if (!parsed.success || parsed.output.issuer !== url) throw silent(url, "no configuration");
  const keysUrl = URL.parse(parsed.output.jwks_uri);
  if (keysUrl?.protocol !== new URL(url).protocol) throw silent(url, "no place of its keys");
  return keysUrl.href;
}

async function fetchJson(issuer: string, url: string, fetch: Fetch): Promise<unknown> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const headers = { Accept: "application/json" };
  try {
    const response = await fetch(new Request(url, { headers, redirect: "manual", signal }));
    if (response.status !== 200) {
      await cancelBody(response.body);
      throw new Error(`${url} answered ${response.status}`);
    }
    const bytes = await readLimited(response.body, MAX_BYTES);
    if (bytes === undefined) throw new Error(`${url} answered more than ${MAX_BYTES} bytes`);
    return parseJson(bytes);
  } catch (cause) {
    throw silent(issuer, "no answer", cause);
  }
}

function silent(url: string, what: string, cause?: unknown): RegistryError {
  const message = `${new URL(url).host} gives ${what} by which its tokens could be verified; try again`;
  return new RegistryError("UNAVAILABLE", message, { cause });
}
