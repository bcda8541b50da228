// The tar bytes of one store path, without what a layer has around them: a function of its content.
// Modes are normalised and hard links are written as files of their own, so a store that was
// optimised by hard-linking gives the same bytes as one that was not. All I/O is synchronous: this
// runs in worker threads, where it costs a sixth of what streams cost for small files.

import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from "node:fs";
import { type StorePath, storePathBase } from "../../registry/naming/store-path.ts";
import { type ByteString, fileArgument, readableText, toByteString } from "./byte-string.ts";
import type { ChunkWriter } from "./chunk-writer.ts";
import { writeHeader } from "./tar-header.ts";

/** Where Nix keeps its objects; their files may really be elsewhere (origin/nix/store-place.ts). */
export const STORE_DIRECTORY = "/nix/store";

const PARENT_MODE = 0o755;
const DIRECTORY_MODE = 0o555;
const FILE_MODE = 0o444;
const PROGRAM_MODE = 0o555;
export const LINK_MODE = 0o777;
/** Nix looks at the owner's bit alone. */
const IS_EXECUTABLE = 0o100;

/**
 * A layer reader takes such a name for the order to delete a file (OCI image layer, "whiteouts").
 */
export const WHITEOUT_PREFIX = ".wh.";

/** A store object that no layer can hold: a fault of the object, not of the packer. */
export class UnpackableError extends Error {
  override readonly name = "UnpackableError";
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path} ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/** The directories above every store path. */
export function writeStoreParents(out: ChunkWriter): void {
  for (const path of ["nix", "nix/store"]) {
    writeHeader(out, { type: "directory", path, mode: PARENT_MODE, sizeBytes: 0, target: "" });
  }
}

export function writeStorePath(
  out: ChunkWriter,
  storePath: StorePath,
  storeDirectory: string,
): void {
  const base = storePathBase(storePath);
  writeTree(out, `nix/store/${base}`, `${toByteString(storeDirectory)}/${base}`);
}

/**
 * The depth of the recursion is bounded by the length of a path, which the kernel bounds to 4 kB.
 */
function writeTree(out: ChunkWriter, path: ByteString, source: ByteString): void {
  const stats = lstatSync(fileArgument(source));
  if (stats.isFile()) {
    const mode = stats.mode & IS_EXECUTABLE ? PROGRAM_MODE : FILE_MODE;
    writeHeader(out, { type: "file", path, mode, sizeBytes: stats.size, target: "" });
    writeContent(out, source, stats.size);
  } else if (stats.isDirectory()) {
    writeHeader(out, { type: "directory", path, mode: DIRECTORY_MODE, sizeBytes: 0, target: "" });
    // One character for each byte, so the default order is the order of bytes.
    for (const name of readdirSync(fileArgument(source), "latin1").sort()) {
      if (name.startsWith(WHITEOUT_PREFIX)) {
        throw new UnpackableError(
          readableText(`/${path}/${name}`),
          "has a name that layers reserve for deleting files",
        );
      }
      writeTree(out, `${path}/${name}`, `${source}/${name}`);
    }
  } else if (stats.isSymbolicLink()) {
    const target = readlinkSync(fileArgument(source), "latin1");
    writeHeader(out, { type: "link", path, mode: LINK_MODE, sizeBytes: 0, target });
  } else {
    throw new UnpackableError(
      readableText(`/${path}`),
      "is no file, directory or symbolic link: such an object cannot be in a store",
    );
  }
}

function writeContent(out: ChunkWriter, source: ByteString, sizeBytes: number): void {
  if (sizeBytes === 0) return;
  const file = openSync(fileArgument(source), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let left = sizeBytes; left > 0; ) {
      const free = out.free();
      const wanted = Math.min(left, free.sizeBytes);
      // The last read asks for a byte too many: that is how a file that has grown is noticed.
      const asked = wanted === left ? wanted + 1 : wanted;
      const got = readSync(file, out.buffer, free.offset, asked, null);
      if (got !== wanted) {
        throw new Error(`${readableText(source)} changed while it was packed`);
      }
      out.advance(got);
      left -= got;
    }
  } finally {
    closeSync(file);
  }
  out.pad();
}
