// The short-lived signed tokens by which edge and origin know each other. A token is bound to one
// method, one path and, where there are any to bind, one body and the client it is for: a copied
// token repeats a request whose effect is idempotent, and can do nothing else.

import { jwtVerify, SignJWT } from "jose";

export type Party = "edge" | "origin";

/** A shared secret under its id. The first of a list signs; all verify, so keys can be rotated. */
export interface SecretKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface SignedRequest {
  readonly method: string;
  /** The path as sent, without query. */
  readonly path: string;
  /** Digest of the body; absent for blobs, whose digest the path or a later check names. */
  readonly bodyDigest?: string | undefined;
  /** What `CLIENT_HEADER` says, so that nobody can change whom a request is counted to. */
  readonly client?: string | undefined;
}

/** By which the edge says whose pull it asks for: an address, or the network that it is of. */
export const CLIENT_HEADER = "Nixport-Client";

const TOKEN_LIFE_SECONDS = 60;
const CLOCK_SKEW_SECONDS = 60;
const MIN_SECRET_BYTES = 16;
const MAX_KEYS = 2;

/**
 * Parses `secret` or `id:secret`, one or two of them separated by commas. Returns what is wrong as
 * text, since the configuration reports all its problems at once.
 */
export function parseSecretKeys(text: string): readonly SecretKey[] | string {
  const keys = text.split(",").map((part): SecretKey => {
    const trimmed = part.trim();
    const colon = trimmed.indexOf(":");
    const id = colon === -1 ? "1" : trimmed.slice(0, colon);
    return { id, bytes: new TextEncoder().encode(trimmed.slice(colon + 1)) };
  });
  if (keys.length > MAX_KEYS) return `at most ${MAX_KEYS} keys, the signing one first`;
  if (keys.some((key) => key.bytes.length < MIN_SECRET_BYTES)) {
    return `every key needs ${MIN_SECRET_BYTES} bytes or more`;
  }
  if (new Set(keys.map((key) => key.id)).size !== keys.length) return "two keys need two ids";
  return keys;
}

/** `keys` must not be empty. */
export async function signRequest(
  keys: readonly SecretKey[],
  from: Party,
  request: SignedRequest,
  nowMs: number,
): Promise<string> {
  const [key] = keys;
  if (key === undefined) throw new Error("no key to sign with");
  const nowSeconds = Math.floor(nowMs / 1000);
  return new SignJWT({
    method: request.method,
    path: request.path,
    ...(request.bodyDigest !== undefined && { body: request.bodyDigest }),
    ...(request.client !== undefined && { client: request.client }),
  })
    .setProtectedHeader({ alg: "HS256", kid: key.id })
    .setIssuer(from)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + TOKEN_LIFE_SECONDS)
    .sign(key.bytes);
}

/** Whether an `Authorization` header carries a token of `from` for exactly this request. */
export async function verifyRequest(
  keys: readonly SecretKey[],
  from: Party,
  request: SignedRequest,
  authorization: string | null,
  nowMs: number,
): Promise<boolean> {
  const signed = await verifyHead(keys, from, request, authorization, nowMs);
  return signed !== undefined && signed.bodyDigest === request.bodyDigest;
}

/**
 * The same before the body is read, so that nobody else's is: which digest the token binds it to,
 * for the caller to compare. Undefined for a token that does not count.
 */
export async function verifyHead(
  keys: readonly SecretKey[],
  from: Party,
  request: Omit<SignedRequest, "bodyDigest">,
  authorization: string | null,
  nowMs: number,
): Promise<{ readonly bodyDigest: unknown } | undefined> {
  const token = /^Bearer ([\w.-]{1,2048})$/.exec(authorization ?? "")?.[1];
  if (token === undefined) return undefined;
  try {
    const { payload } = await jwtVerify(
      token,
      ({ kid }) => {
        const key = keys.find((candidate) => candidate.id === kid);
        if (key === undefined) throw new Error("unknown key id");
        return key.bytes;
      },
      {
        algorithms: ["HS256"],
        issuer: from,
        clockTolerance: CLOCK_SKEW_SECONDS,
        // Without it a date of issue to come counts, and the life of a token is the signer's choice.
        maxTokenAge: TOKEN_LIFE_SECONDS,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp", "iat"],
      },
    );
    const { method, path, client } = payload;
    const isForIt = method === request.method && path === request.path && client === request.client;
    return isForIt ? { bodyDigest: payload.body } : undefined;
  } catch {
    // Whatever is wrong with a token, the answer is one: it does not count.
    return undefined;
  }
}
