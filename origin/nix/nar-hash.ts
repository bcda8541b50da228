// The hash of a store path as Nix says it: hexadecimal in its database, base 64 in the JSON of its
// commands, and its own base 32 in what it tells a builder.

import { type Digest, parseDigest, toDigest } from "../../registry/naming/digest.ts";

/** Without e, o, t and u. */
const BASE_32 = "0123456789abcdfghijklmnpqrsvwxyz";
const SHA256_BYTES = 32;

/** Null where it is none of these: a newer Nix may find another way. */
export function parseNarHash(said: unknown): Digest | null {
  if (typeof said !== "string") return null;
  const hex = parseDigest(said);
  if (hex !== undefined) return hex;
  const [, base64] = /^sha256-([A-Za-z0-9+/]{43}=)$/.exec(said) ?? [];
  if (base64 !== undefined) return toDigest(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
  const [, base32] = /^sha256:([0-9abcdfghijklmnpqrsvwxyz]{52})$/.exec(said) ?? [];
  return base32 === undefined ? null : toDigest(fromBase32(base32).buffer);
}

/** Nix writes the digits of the number that the bytes are, the least byte first, the least digit last. */
function fromBase32(digits: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SHA256_BYTES);
  [...digits].reverse().forEach((digit, place) => {
    const bit = place * 5;
    const value = BASE_32.indexOf(digit) << (bit % 8);
    const at = Math.floor(bit / 8);
    bytes[at] = (bytes[at] ?? 0) | (value & 0xff);
    // What does not fit into the last byte is zero.
    if (at + 1 < SHA256_BYTES) bytes[at + 1] = (bytes[at + 1] ?? 0) | (value >> 8);
  });
  return bytes;
}
