// The branded content address of stored bytes. Only sha256 is stored or served here; other
// well-formed algorithms are recognised so that they can be answered "absent" instead of "malformed".

declare const digestBrand: unique symbol;
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = string & { readonly [digestBrand]: "Digest" };

const SHA256 = /^sha256:[0-9a-f]{64}$/;
/** Digest grammar of the OCI image specification, descriptor section. */
const WELL_FORMED = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
/**
 * Encoded lengths of the registered algorithms: a registered name with another length is malformed.
 */
const REGISTERED: ReadonlyMap<string, RegExp> = new Map([
  ["sha256", /^[0-9a-f]{64}$/],
  ["sha512", /^[0-9a-f]{128}$/],
  ["blake3", /^[0-9a-f]{64}$/],
]);

export function parseDigest(text: string): Digest | undefined {
  return SHA256.test(text) ? (text as Digest) : undefined;
}

/** True for a digest this registry could never hold, though the specification allows it. */
export function isForeignDigest(text: string): boolean {
  if (text.length > 512 || !WELL_FORMED.test(text)) return false;
  const algorithm = text.slice(0, text.indexOf(":"));
  if (algorithm === "sha256") return false;
  return REGISTERED.get(algorithm)?.test(text.slice(algorithm.length + 1)) ?? true;
}

/** The 64 hex digits, as storage keys and R2's checksum option want them. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** Hashes bytes with WebCrypto, so that the same code runs in workerd and in Node. */
export async function digestOf(bytes: Uint8Array): Promise<Digest> {
  // Never of shared memory, which is all that the type leaves out.
  return toDigest(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

/** The digest of these 32 raw bytes. */
export function toDigest(raw: ArrayBuffer): Digest {
  const hex = Array.from(new Uint8Array(raw), (byte) => byte.toString(16).padStart(2, "0"));
  return `sha256:${hex.join("")}` as Digest;
}
