// The NAR hash of a file tree, as Nix computes it, without starting Nix: it pins a local package
// set by its content. The format is Nix's archive: length-prefixed, 8-byte padded, names in byte
// order.

import { createHash, type Hash } from "node:crypto";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import {
  type ByteString,
  compareBytes,
  fileArgument,
  readableText,
  toByteString,
} from "../layers/byte-string.ts";

const READ_CHUNK_BYTES = 1024 * 1024;
const PADDING = Buffer.alloc(8);

/** Hex sha256. A `.git` directly below `root` is left out, as `nix/source.nix` leaves it out. */
export async function narHash(root: string): Promise<string> {
  const hash = createHash("sha256");
  writeStrings(hash, "nix-archive-1");
  await writeNode(hash, toByteString(root), true);
  return hash.digest("hex");
}

async function writeNode(hash: Hash, path: ByteString, isRoot: boolean): Promise<void> {
  const file = fileArgument(path);
  const stats = await lstat(file);
  writeStrings(hash, "(", "type");
  if (stats.isSymbolicLink()) {
    writeStrings(hash, "symlink", "target", await readlink(file, "latin1"));
  } else if (stats.isDirectory()) {
    writeStrings(hash, "directory");
    const names = await readdir(file, "latin1");
    for (const name of names.sort(compareBytes)) {
      if (isRoot && name === ".git") continue;
      writeStrings(hash, "entry", "(", "name", name, "node");
      await writeNode(hash, `${path}/${name}`, false);
      writeStrings(hash, ")");
    }
  } else if (stats.isFile()) {
    writeStrings(hash, "regular");
    if ((stats.mode & 0o100) !== 0) writeStrings(hash, "executable", "");
    writeStrings(hash, "contents");
    await writeFile(hash, path, stats.size);
  } else {
    throw new Error(`${readableText(path)} is no file, directory or link: Nix cannot pin it`);
  }
  writeStrings(hash, ")");
}

async function writeFile(hash: Hash, path: ByteString, sizeBytes: number): Promise<void> {
  hash.update(lengthOf(sizeBytes));
  const handle = await open(fileArgument(path), "r");
  try {
    const chunk = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, Math.max(sizeBytes, 1)));
    let done = 0;
    while (done < sizeBytes) {
      const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, sizeBytes - done));
      if (bytesRead === 0) throw new Error(`${readableText(path)} shrank while it was read`);
      hash.update(chunk.subarray(0, bytesRead));
      done += bytesRead;
    }
  } finally {
    await handle.close();
  }
  hash.update(paddingAfter(sizeBytes));
}

function writeStrings(hash: Hash, ...strings: readonly ByteString[]): void {
  for (const text of strings) {
    const bytes = Buffer.from(text, "latin1");
    hash.update(lengthOf(bytes.length)).update(bytes).update(paddingAfter(bytes.length));
  }
}

function lengthOf(sizeBytes: number): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(sizeBytes));
  return length;
}

function paddingAfter(sizeBytes: number): Buffer {
  return PADDING.subarray(0, (8 - (sizeBytes % 8)) % 8);
}
