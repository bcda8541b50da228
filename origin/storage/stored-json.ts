// JSON that the storage holds, with a checksum in a line behind it: a value whose name says nothing of its
// bytes would be believed with any digit of it changed. What is none counts as absent, so that it is made
// again: left by a disk that lost what it had promised to keep, it must not fail every request that comes
// to it.

import { createHash } from "node:crypto";
import { parseJson } from "../../registry/http/json.ts";

const CHECKSUM_LENGTH = 64;
const NEWLINE = 0x0a;

export function storedJson(value: unknown): Uint8Array {
  // Written without spaces, so the only newline is the one before the checksum.
  const json = JSON.stringify(value);
  return Buffer.from(`${json}\n${checksumOf(Buffer.from(json))}`);
}

export function parseStoredJson(bytes: Uint8Array): unknown {
  const end = endOfJson(bytes);
  // As versions before checksums wrote it. With one that has lost its newline this is no JSON either.
  if (end === undefined) return parseJson(bytes);
  const json = bytes.subarray(0, end);
  const checksum = Buffer.from(bytes.subarray(end + 1)).toString("latin1");
  return checksum === checksumOf(json) ? parseJson(json) : undefined;
}

/** Whether a change of one of its bytes would be noticed. */
export function hasChecksum(bytes: Uint8Array): boolean {
  return endOfJson(bytes) !== undefined;
}

function endOfJson(bytes: Uint8Array): number | undefined {
  const end = bytes.length - CHECKSUM_LENGTH - 1;
  return bytes[end] === NEWLINE ? end : undefined;
}

function checksumOf(json: Uint8Array): string {
  return createHash("sha256").update(json).digest("hex");
}
