// What a request shows of who sends it (RFC 7617, RFC 6750): a name and a password, one of our tokens, or
// nothing. And whether it counts.

import { RegistryError } from "../http/error.ts";
import { type TokenKeys, verifyAccessToken } from "./access-token.ts";
import type { Attempts } from "./attempts.ts";
import { looksLikeToken, verifyCiToken } from "./ci-token.ts";
import type { IssuerKeys, Keys } from "./issuer-keys.ts";
import { isPassword, NOBODYS_HASH } from "./password.ts";
import type { Visitor } from "./rules.ts";
import type { AccessSettings, Account } from "./settings.ts";

export type Shown =
  | { readonly kind: "nothing" }
  | { readonly kind: "password"; readonly name: string; readonly password: string }
  | { readonly kind: "token"; readonly token: string }
  /** A header that is neither. */
  | { readonly kind: "unreadable" };

export type Identified =
  | {
      readonly kind: "visitor";
      readonly visitor: Visitor;
      /** For which names alone; null: for all that the visitor may have. */
      readonly repositories: readonly string[] | null;
    }
  /** Not who it says it is. */
  | { readonly kind: "wrong" };

export interface Identifying {
  readonly settings: AccessSettings;
  readonly tokenKeys: TokenKeys;
  readonly attempts: Attempts;
  readonly issuerKeys: IssuerKeys;
  readonly fetch: (request: Request) => Promise<Response>;
  /** Undefined where nobody knows; then all of them are one. */
  readonly network: string | undefined;
  /** Told of each wrong try, and says whether the network may try again: what an edge's machines share. */
  readonly onWrong: (network: string) => Promise<boolean>;
  readonly now: () => number;
}

const MAX_HEADER_LENGTH = 16_384;
const UNKNOWN = "unknown";
const NOBODY: Visitor = { kind: "anonymous" };

export function shownBy(authorization: string | null): Shown {
  if (authorization === null) return { kind: "nothing" };
  const match = /^(basic|bearer)[ ]+([A-Za-z0-9._~+/=-]+)[ ]*$/i.exec(authorization);
  if (match === null || authorization.length > MAX_HEADER_LENGTH) return { kind: "unreadable" };
  const [, scheme = "", text = ""] = match;
  if (scheme.toLowerCase() === "bearer") return { kind: "token", token: text };
  const words = decodeBasic(text);
  const colon = words?.indexOf(":") ?? -1;
  if (words === undefined || colon === -1) return { kind: "unreadable" };
  return { kind: "password", name: words.slice(0, colon), password: words.slice(colon + 1) };
}

function decodeBasic(text: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** For a request of an image: by one of our tokens, or a name and its password. */
export async function identify(options: Identifying, shown: Shown): Promise<Identified> {
  switch (shown.kind) {
    case "nothing":
      return { kind: "visitor", visitor: NOBODY, repositories: null };
    case "token":
      return byOwnToken(options, shown.token);
    case "password":
      return byPassword(options, shown);
    case "unreadable":
      return { kind: "wrong" };
    default:
      return shown satisfies never;
  }
}

/** For a token: also by that of a CI system, in either place where clients can put it. */
export async function identifyForToken(options: Identifying, shown: Shown): Promise<Identified> {
  if (shown.kind === "token") return byCiToken(options, shown.token);
  return identify(options, shown);
}

async function byOwnToken(options: Identifying, token: string): Promise<Identified> {
  const { settings, tokenKeys, now } = options;
  const said = await verifyAccessToken(tokenKeys, token, settings.tokenSeconds, now());
  if (said === undefined) return { kind: "wrong" };
  const visitor = said.name === null ? NOBODY : knownAs(settings, said.name, now());
  if (visitor === undefined) return { kind: "wrong" };
  return { kind: "visitor", visitor, repositories: said.repositories };
}

/** What the rules of now say of an account; undefined where it is no more. */
function knownAs(settings: AccessSettings, name: string, nowMs: number): Visitor | undefined {
  const jobs = settings.issuers.flatMap((issuer) => issuer.jobs);
  const account = settings.accounts.get(name);
  const isOver = account !== undefined && hasExpired(account, nowMs);
  const known = account ?? jobs.find((job) => job.name === name);
  return known === undefined || isOver ? undefined : { kind: "known", name, groups: known.groups };
}

function hasExpired({ expiresMs }: Account, nowMs: number): boolean {
  return expiresMs !== null && nowMs >= expiresMs;
}

async function byPassword(
  options: Identifying,
  { name, password }: Extract<Shown, { kind: "password" }>,
): Promise<Identified> {
  const { settings, attempts, now } = options;
  if (settings.issuers.length > 0 && looksLikeToken(password)) return byCiToken(options, password);
  const account = settings.accounts.get(name);
  const words = JSON.stringify([name, password, account?.hash]);
  const wasRight = account !== undefined && (await attempts.isRight(words, now()));
  if (!wasRight) {
    beginTry(options);
    const isRight = await isPassword(password, account?.hash ?? NOBODYS_HASH);
    if (!isRight || account === undefined) return wrong(options);
    right(options);
    await attempts.right(words, now());
  }
  const visitor = knownAs(settings, name, now());
  return visitor === undefined
    ? { kind: "wrong" }
    : { kind: "visitor", visitor, repositories: null };
}

async function byCiToken(options: Identifying, token: string): Promise<Identified> {
  const { settings, issuerKeys, fetch, now } = options;
  beginTry(options);
  const keysOf: Keys = (...asked) => issuerKeys.of(...asked, { fetch, nowMs: now() });
  const job = looksLikeToken(token)
    ? await verifyCiToken(settings.issuers, keysOf, token, now())
    : undefined;
  if (job === undefined) return wrong(options);
  right(options);
  const visitor: Visitor = { kind: "known", name: job.name, groups: job.groups };
  return { kind: "visitor", visitor, repositories: null };
}

/** Before anything is hashed or fetched: who has been wrong too often has to wait. */
function beginTry({ attempts, network = UNKNOWN, now }: Identifying): void {
  const retryAfterSeconds = attempts.waitSeconds(network, now());
  if (retryAfterSeconds === undefined) {
    attempts.begin(network, now());
    return;
  }
  const message = `too many wrong passwords and tokens; try again in ${retryAfterSeconds} s`;
  throw new RegistryError("TOOMANYREQUESTS", message, { retryAfterSeconds });
}

function right({ attempts, network = UNKNOWN }: Identifying): void {
  attempts.forgive(network);
}

async function wrong({ attempts, network = UNKNOWN, onWrong, now }: Identifying) {
  if (!(await onWrong(network))) attempts.refuse(network, now());
  return { kind: "wrong" } as const;
}
