// JSON that the storage holds, with a checksum in a line behind it: a value whose name says nothing of its
// bytes would be believed with any digit of it changed. So has a text that whoever wrote it has laid out.
// What is none counts as absent, so that it is made again: left by a disk that lost what it had promised to
// keep, it must not fail every request that comes to it.

import { createHash } from "node:crypto";
import { parseJson } from "../../registry/http/json.ts";

const CHECKSUM_LENGTH = 64;
const NEWLINE = 0x0a;

export function storedJson(value: unknown): Uint8Array {
  return storedText(JSON.stringify(value));
}

export function parseStoredJson(bytes: Uint8Array): unknown {
  const json = unchanged(bytes);
  return json && parseJson(json);
}

export function storedText(text: string): Uint8Array {
  return Buffer.from(`${text}\n${checksumOf(Buffer.from(text))}`);
}

/** Undefined where anything of it was changed. */
export function readStoredText(bytes: Uint8Array): string | undefined {
  const text = unchanged(bytes);
  return text && Buffer.from(text).toString();
}

function unchanged(bytes: Uint8Array): Uint8Array | undefined {
  const end = endOfText(bytes);
  // As versions before checksums wrote it. With one that has lost its newline it is no JSON either.
  if (end === undefined) return bytes;
  const text = bytes.subarray(0, end);
  const checksum = Buffer.from(bytes.subarray(end + 1)).toString("latin1");
  return checksum === checksumOf(text) ? text : undefined;
}

/** Whether a change of one of its bytes would be noticed. */
export function hasChecksum(bytes: Uint8Array): boolean {
  return endOfText(bytes) !== undefined;
}

function endOfText(bytes: Uint8Array): number | undefined {
  const end = bytes.length - CHECKSUM_LENGTH - 1;
  return bytes[end] === NEWLINE ? end : undefined;
}

function checksumOf(text: Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}
