// Trees that tests plant in a store of their own, and readers of the layers made of them.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { afterAll } from "vitest";
import { fileArgument } from "../../../origin/layers/byte-string.ts";
import { createChunkBuffer, createChunkWriter } from "../../../origin/layers/chunk-writer.ts";
import { STORE_PARENTS } from "../../../origin/layers/layer.ts";
import { writeStorePath } from "../../../origin/layers/tar.ts";
import {
  parseStorePath,
  type StorePath,
  storePathBase,
} from "../../../registry/naming/store-path.ts";

/** File names are byte strings: one character for each byte. */
export type Tree =
  | string
  | Uint8Array
  | { readonly program: string }
  | { readonly link: string }
  | { readonly holds: Readonly<Record<string, Tree>> };

/** A directory that is gone after the test file, whatever the modes inside. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "nixport-layers-"));
  afterAll(() => {
    execFileSync("chmod", ["-R", "u+w", path]);
    execFileSync("rm", ["-rf", path]);
  });
  return path;
}

/** The path of a name, the same in every run; `digit` tells paths of one name apart. */
export function storePath(name: string, digit = "0"): StorePath {
  const path = parseStorePath(`/nix/store/${digit.repeat(32)}-${name}`);
  if (path === undefined) throw new Error(`${name} is no name of a store path`);
  return path;
}

export function plant(store: string, path: StorePath, tree: Tree): StorePath {
  write(`${store}/${storePathBase(path)}`, tree);
  return path;
}

function write(path: string, tree: Tree): void {
  const place = fileArgument(path);
  if (typeof tree === "string" || tree instanceof Uint8Array) {
    writeFileSync(place, tree, { mode: 0o644 });
  } else if ("program" in tree) {
    writeFileSync(place, tree.program);
    chmodSync(place, 0o755);
  } else if ("link" in tree) {
    symlinkSync(fileArgument(tree.link), place);
  } else {
    mkdirSync(place, { mode: 0o755 });
    for (const [name, child] of Object.entries(tree.holds)) write(`${path}/${name}`, child);
  }
}

/** A segment's tar bytes with the parents before them: the tar of a layer, but for its end. */
export function tarOf(store: string, path: StorePath): Buffer {
  return Buffer.concat([STORE_PARENTS, segmentOf(store, path)]);
}

/** The tar bytes of a store path: its segment before compression. */
export function segmentOf(store: string, path: StorePath): Buffer {
  const chunks: Buffer[] = [];
  const out = createChunkWriter(createChunkBuffer(), (chunk) => chunks.push(Buffer.from(chunk)));
  writeStorePath(out, path, store);
  out.flush();
  return Buffer.concat(chunks);
}

export interface ReadEntry extends Header {
  readonly content: Buffer;
}

export async function readTar(bytes: Uint8Array): Promise<readonly ReadEntry[]> {
  const entries: ReadEntry[] = [];
  const reader = extract();
  reader.end(Buffer.concat([bytes, Buffer.alloc(1024)]));
  for await (const entry of reader) {
    const parts: Buffer[] = [];
    for await (const part of entry) parts.push(part as Buffer);
    entries.push({ ...entry.header, content: Buffer.concat(parts) });
  }
  return entries;
}

/**
 * Every file below a directory, one line each with its mode, its content or target, and how many
 * names it has if more than one. `modes: "of-an-image"` says what is planted as an image has it.
 */
export function listTree(directory: string, modes?: "of-an-image"): readonly string[] {
  const lines: string[] = [];
  const visit = (path: string, shown: string) => {
    const place = fileArgument(path);
    const stats = lstatSync(place);
    const isReadOnly = modes !== undefined;
    const mode = ((isReadOnly ? stats.mode & 0o555 : stats.mode) & 0o7777).toString(8);
    if (stats.isSymbolicLink()) {
      lines.push(`${shown} -> ${readlinkSync(place, "latin1")}`);
    } else if (stats.isDirectory()) {
      lines.push(`${shown}/ ${mode}`);
      for (const name of readdirSync(place, "latin1").sort()) {
        visit(`${path}/${name}`, `${shown}/${name}`);
      }
    } else {
      const names = isReadOnly || stats.nlink === 1 ? "" : ` ${stats.nlink} names`;
      const digest = createHash("sha256").update(readFileSync(place)).digest("hex");
      lines.push(`${shown} ${mode}${names} ${stats.size} ${digest}`);
    }
  };
  visit(directory, ".");
  return lines;
}

/** Unpacks with GNU tar, as a reader that owes us nothing. */
export function unpackWithGnuTar(bytes: Uint8Array): string {
  const directory = temporaryDirectory();
  const input = Buffer.concat([bytes, Buffer.alloc(1024)]);
  execFileSync("tar", ["-xpf", "-", "-C", directory], { input });
  return directory;
}

/**
 * Node reads several zstd frames only when the output happens to be full where one ends, and drops
 * the rest without an error otherwise (24.21; nodejs/node#64741). So they are taken one by one.
 */
export function unzstd(bytes: Buffer): Buffer {
  return Buffer.concat(splitFrames(bytes).map((frame) => zstdDecompressSync(frame)));
}

/**
 * The frames of concatenated zstd data, found by their headers and block sizes (RFC 8878, 3.1.1).
 */
export function splitFrames(bytes: Buffer): readonly Buffer[] {
  const frames: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    if (bytes.readUInt32LE(start) !== 0xfd2fb528) throw new Error(`no frame at ${start}`);
    const descriptor = bytes.readUInt8(start + 4);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    let end = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
    for (let isLast = false; !isLast; ) {
      const header = bytes.readUIntLE(end, 3);
      const isRepeatedByte = ((header >> 1) & 3) === 1;
      end += 3 + (isRepeatedByte ? 1 : header >> 3);
      isLast = (header & 1) === 1;
    }
    if ((descriptor & 4) !== 0) end += 4;
    frames.push(bytes.subarray(start, end));
    start = end;
  }
  return frames;
}
