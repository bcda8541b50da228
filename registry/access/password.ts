// How passwords and the secrets of robots are kept, and compared in constant time. WebCrypto alone, since
// a Worker has nothing else.

import * as v from "valibot";

/**
 * Cloudflare refuses more rounds, though a local runtime does not. A password takes tens of milliseconds of
 * a processor with them; a secret that nobody could guess anyway needs one round of SHA-256.
 */
export const MAX_ITERATIONS = 100_000;
export const MIN_ITERATIONS = 1000;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

const HASH =
  /^(?:pbkdf2-sha256\$(\d{4,6})\$([A-Za-z0-9_-]{16,64})\$([A-Za-z0-9_-]{43})|sha256\$([A-Za-z0-9_-]{43}))$/;

declare const hashBrand: unique symbol;
/** `pbkdf2-sha256$<rounds>$<salt>$<hash>` of a password, `sha256$<hash>` of a random secret. */
export type PasswordHash = string & { readonly [hashBrand]: "PasswordHash" };

export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = HASH.exec(text);
  if (match === null) return undefined;
  const rounds = match[1] === undefined ? MIN_ITERATIONS : Number(match[1]);
  const isPossible = rounds >= MIN_ITERATIONS && rounds <= MAX_ITERATIONS;
  return isPossible ? (text as PasswordHash) : undefined;
}

export const passwordHashSchema: v.GenericSchema<string, PasswordHash> = v.pipe(
  v.string(),
  v.rawTransform<string, PasswordHash>(({ dataset, addIssue, NEVER }) => {
    const hash = parsePasswordHash(dataset.value);
    if (hash !== undefined) return hash;
    addIssue({ message: "not a hash that `npm run nixport -- password` has made" });
    return NEVER;
  }),
);

export async function hashPassword(
  password: string,
  iterations = MAX_ITERATIONS,
): Promise<PasswordHash> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const hash = await derive(password, salt, iterations);
  return `pbkdf2-sha256$${iterations}$${toBase64(salt)}$${toBase64(hash)}` as PasswordHash;
}

/** A new secret, and its hash. */
export async function makeSecret(): Promise<{
  readonly secret: string;
  readonly hash: PasswordHash;
}> {
  const secret = toBase64(crypto.getRandomValues(new Uint8Array(HASH_BYTES)));
  return { secret, hash: `sha256$${toBase64(await sha256(secret))}` as PasswordHash };
}

/** What is wrong takes as long whatever it is. */
export async function isPassword(password: string, hash: PasswordHash): Promise<boolean> {
  const [kind, first = "", salt = "", last = ""] = hash.split("$");
  if (kind === "sha256") {
    const isRight = isSame(await sha256(password), fromBase64(first));
    return isRight || isPassword(password, NOBODYS_HASH);
  }
  return isSame(await derive(password, fromBase64(salt), Number(first)), fromBase64(last));
}

/** No password's: it takes as long to be told that there is no such account. */
export const NOBODYS_HASH =
  `pbkdf2-sha256$${MAX_ITERATIONS}$${"A".repeat(22)}$${"A".repeat(43)}` as PasswordHash;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let place = 0; place < a.length; place += 1) {
    difference |= (a[place] ?? 0) ^ (b[place] ?? 0);
  }
  return difference === 0;
}

async function derive(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", encoded(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 8 * HASH_BYTES));
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoded(text)));
}

/** One way to write a letter: keyboards differ. */
function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text.normalize("NFC")));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
