// The header blocks of one tar entry: POSIX ustar, with a pax header in front only where ustar
// cannot say it. Every field that is not the entry's own is a constant: owner 0:0 without names unless
// one is asked for, mtime 1, so that the bytes tell nothing of the host that packed them.

import { type ByteString, isAscii } from "./byte-string.ts";
import { BLOCK_SIZE_BYTES, type ChunkWriter } from "./chunk-writer.ts";

export interface EntryHeader {
  readonly type: "file" | "directory" | "link";
  /** Relative, without leading or trailing slash. */
  readonly path: ByteString;
  readonly mode: number;
  /** Of a file's content; 0 otherwise. */
  readonly sizeBytes: number;
  /** Of a link; empty otherwise. */
  readonly target: ByteString;
  /** root:root without it. */
  readonly owner?: Owner;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Seven octal digits; more would need a pax header. */
export const MAX_OWNER_ID = 0o7777777;

const NAME_LIMIT_BYTES = 100;
const PREFIX_LIMIT_BYTES = 155;
/** Eleven octal digits: 8 GiB - 1. */
const USTAR_MAX_SIZE_BYTES = 0o77777777777;

const AT = {
  name: 0,
  mode: 100,
  uid: 108,
  gid: 116,
  size: 124,
  checksum: 148,
  type: 156,
  target: 157,
  prefix: 345,
};
const TYPE_FLAGS = { file: "0", link: "2", directory: "5", pax: "x" } as const;
/** All extended headers carry one name: readers replace it by the entry's own. */
const PAX_NAME = "PaxHeaders/nixport";
const PAX_MODE = 0o644;

/** A header without name, mode, size, type, target and checksum (POSIX.1-2017, pax, ustar). */
const TEMPLATE = Buffer.alloc(BLOCK_SIZE_BYTES);
TEMPLATE.write("0000000\u00000000000\0", 108, "latin1"); // owner, group
TEMPLATE.write("00000000001\0", 136, "latin1"); // mtime
TEMPLATE.write("        ", AT.checksum, "latin1"); // counted as spaces while summing
TEMPLATE.write("ustar\u000000", 257, "latin1");
TEMPLATE.write("0000000\u00000000000\0", 329, "latin1"); // device numbers

export function writeHeader(out: ChunkWriter, entry: EntryHeader): void {
  const name = entry.type === "directory" ? `${entry.path}/` : entry.path;
  const split = splitName(name);
  const isLongTarget = entry.target.length > NAME_LIMIT_BYTES;
  const isHuge = entry.sizeBytes > USTAR_MAX_SIZE_BYTES;
  const records = [
    split !== undefined && isAscii(name) ? "" : paxRecord("path", name),
    isLongTarget || !isAscii(entry.target) ? paxRecord("linkpath", entry.target) : "",
    isHuge ? paxRecord("size", String(entry.sizeBytes)) : "",
  ].join("");
  if (records !== "") writePax(out, records);
  writeUstar(
    out,
    TYPE_FLAGS[entry.type],
    split ?? { prefix: "", name: name.slice(0, NAME_LIMIT_BYTES) },
    entry.mode,
    isHuge ? 0 : entry.sizeBytes,
    entry.target.slice(0, NAME_LIMIT_BYTES),
    entry.owner,
  );
}

interface SplitName {
  readonly prefix: ByteString;
  readonly name: ByteString;
}

/**
 * Cuts at the last slash that leaves a prefix of at most 155 bytes; undefined if that is no use.
 */
function splitName(name: ByteString): SplitName | undefined {
  if (name.length <= NAME_LIMIT_BYTES) return { prefix: "", name };
  // A directory's own trailing slash is no place to cut: the name would be empty.
  const cut = name.lastIndexOf("/", Math.min(PREFIX_LIMIT_BYTES, name.length - 2));
  if (cut <= 0 || name.length - cut - 1 > NAME_LIMIT_BYTES) return undefined;
  return { prefix: name.slice(0, cut), name: name.slice(cut + 1) };
}

function writeUstar(
  out: ChunkWriter,
  typeFlag: string,
  { prefix, name }: SplitName,
  mode: number,
  sizeBytes: number,
  target: ByteString,
  owner?: Owner,
): void {
  const start = out.takeBlock();
  const { buffer } = out;
  TEMPLATE.copy(buffer, start);
  buffer.write(name, start + AT.name, "latin1");
  buffer.write(octal(mode, 7), start + AT.mode, "latin1");
  if (owner !== undefined) {
    buffer.write(octal(owner.uid, 7), start + AT.uid, "latin1");
    buffer.write(octal(owner.gid, 7), start + AT.gid, "latin1");
  }
  buffer.write(octal(sizeBytes, 11), start + AT.size, "latin1");
  buffer.write(typeFlag, start + AT.type, "latin1");
  buffer.write(target, start + AT.target, "latin1");
  buffer.write(prefix, start + AT.prefix, "latin1");
  let sum = 0;
  for (let at = start; at < start + BLOCK_SIZE_BYTES; at += 1) sum += buffer[at] ?? 0;
  buffer.write(`${octal(sum, 6)}\0 `, start + AT.checksum, "latin1");
}

function writePax(out: ChunkWriter, records: ByteString): void {
  writeUstar(out, TYPE_FLAGS.pax, { prefix: "", name: PAX_NAME }, PAX_MODE, records.length, "");
  out.write(Buffer.from(records, "latin1"));
  out.pad();
}

/**
 * `<length> <key>=<value>\n`, where the length counts its own digits. A name that is no UTF-8 goes
 * as its bytes: GNU tar and Go's archive/tar, which the container clients use, take them unchanged.
 */
function paxRecord(key: string, value: ByteString): ByteString {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return `${length}${rest}`;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
