// The compressed bytes of a segment: a function of its tar bytes and the form, whatever lies before
// or after it in a layer. zstd: one frame for each chunk; gzip: one member for each segment. Both
// formats allow concatenation, so a layer is made of segments one after the other.

import zlib from "node:zlib";
import type { Form } from "../../registry/image/record.ts";
import { CHUNK_SIZE_BYTES } from "./chunk-writer.ts";

/** Raised with every change that gives other bytes for the same store path. */
const FORMAT_VERSION = 3;
const ZSTD_LEVEL = 3;
/**
 * The second table is a quarter as large as level 3 has it: both stay in the processor's cache, for a
 * tenth less time and 0.5 % more bytes.
 */
const ZSTD_PARAMETERS = {
  [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
  [zlib.constants.ZSTD_c_hashLog]: 17,
  [zlib.constants.ZSTD_c_chainLog]: 15,
};
const GZIP_LEVEL = 2;
/** One more than usual: 6 % less time for the same size. */
const GZIP_MEMORY_LEVEL = 9;

/**
 * Beyond the bound of either compressor. With less room zstd takes its streaming path, which splits
 * blocks otherwise: other bytes, and a little more of them (Node 24.21, zstd 1.5.7).
 */
export const OUTPUT_SLACK_BYTES = 64 << 10;
/** As far back as deflate can refer. */
export const WINDOW_SIZE_BYTES = 32 << 10;
const NO_WINDOW = new Uint8Array();

/** What takes the chunks of a layer and passes their compressed bytes on, in the same order. */
export interface ChunkCompressor {
  /** Both may be used again after the call. `window` is what deflate can refer back to. */
  compress(chunk: Uint8Array, window: Uint8Array): void;
  /** Returns when everything has been passed on. */
  drain(): void;
}

/** What is emitted is gone after the call. */
export function createChunkCompressor(
  form: Form,
  emit: (bytes: Uint8Array) => void,
): ChunkCompressor {
  return {
    compress: (chunk, window) => useOnce(compressChunk(chunk, window, form), emit),
    drain: () => {},
  };
}

/**
 * Frees a compressed chunk as soon as it is used. Each has taken a whole chunk's room, however short
 * it is, and the garbage collector lets many of them gather.
 */
export function useOnce(bytes: Uint8Array, use: (bytes: Uint8Array) => void): void {
  use(bytes);
  if (bytes.buffer instanceof ArrayBuffer) bytes.buffer.transfer(0);
}

export interface SegmentCompressor {
  /** Takes the next chunk: a full one, or the last. */
  compress(chunk: Uint8Array): void;
  end(): void;
}

/** `chunks` emits to `emit`, too. */
export function createSegmentCompressor(
  form: Form,
  chunks: ChunkCompressor,
  emit: (bytes: Uint8Array) => void,
): SegmentCompressor {
  switch (form) {
    case "zstd":
      return { compress: (chunk) => chunks.compress(chunk, NO_WINDOW), end: chunks.drain };
    case "gzip":
      return createGzipMember(chunks, emit);
    default:
      return form satisfies never;
  }
}

/** The bytes of a segment that is in memory already. */
export function compressSegment(tar: Uint8Array, form: Form): Buffer {
  const pieces: Uint8Array[] = [];
  const emit = (bytes: Uint8Array) => {
    pieces.push(bytes);
  };
  const chunks: ChunkCompressor = {
    compress: (chunk, window) => emit(compressChunk(chunk, window, form)),
    drain: () => {},
  };
  const compressor = createSegmentCompressor(form, chunks, emit);
  for (let at = 0; at < tar.length; at += CHUNK_SIZE_BYTES) {
    compressor.compress(tar.subarray(at, at + CHUNK_SIZE_BYTES));
  }
  compressor.end();
  return Buffer.concat(pieces);
}

/** A function of its arguments alone, so that any thread may do it. */
export function compressChunk(chunk: Uint8Array, window: Uint8Array, form: Form): Uint8Array {
  switch (form) {
    case "zstd":
      return zlib.zstdCompressSync(chunk, {
        chunkSize: chunk.length + OUTPUT_SLACK_BYTES,
        params: ZSTD_PARAMETERS,
      });
    case "gzip":
      return zlib.deflateRawSync(chunk, {
        level: GZIP_LEVEL,
        memLevel: GZIP_MEMORY_LEVEL,
        chunkSize: chunk.length + OUTPUT_SLACK_BYTES,
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        ...(window.length > 0 && { dictionary: window }),
      });
    default:
      return form satisfies never;
  }
}

/**
 * Names everything that changes the bytes of a layer. The output of zlib also depends on the
 * processor's architecture; that of zstd at levels below 5 does not.
 */
export function packerId(form: Form): string {
  assertCompressors();
  const chunk = `${CHUNK_SIZE_BYTES >> 20}m`;
  const { zlib: zlibVersion, zstd: zstdVersion } = process.versions;
  const id = {
    zstd: `${FORMAT_VERSION}-zstd${ZSTD_LEVEL}-${chunk}-${zstdVersion}`,
    gzip: `${FORMAT_VERSION}-gzip${GZIP_LEVEL}-${chunk}-${zlibVersion}-${process.arch}`,
  }[form];
  // Versions of patched builds may hold anything; keys may not.
  return id.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 91);
}

/** Older versions of Node lack zstd: better said at start than by the first pull. */
export function assertCompressors(): void {
  if (typeof zlib.zstdCompressSync !== "function") {
    throw new Error(`Node ${process.version} has no zstd; 22.15 or newer is needed`);
  }
}

/** RFC 1952: deflate, no flags, no time, no extra flags, unknown system. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
/** RFC 1951: a last block of fixed codes that holds nothing. */
const FINAL_EMPTY_BLOCK = Uint8Array.of(3, 0);

/**
 * Chunks are deflated one by one, each knowing the end of the one before, and joined at byte
 * borders: one ordinary member with the ratio of a plain stream, in constant memory.
 */
function createGzipMember(
  chunks: ChunkCompressor,
  emit: (bytes: Uint8Array) => void,
): SegmentCompressor {
  const window = Buffer.alloc(WINDOW_SIZE_BYTES);
  let windowSizeBytes = 0;
  let crc = 0;
  let sizeBytes = 0;
  return {
    compress: (chunk) => {
      if (sizeBytes === 0) emit(GZIP_HEADER);
      chunks.compress(chunk, window.subarray(0, windowSizeBytes));
      // The chunk's memory is used again, so its end is copied.
      const tail = chunk.subarray(Math.max(0, chunk.length - WINDOW_SIZE_BYTES));
      window.set(tail);
      windowSizeBytes = tail.length;
      crc = zlib.crc32(chunk, crc);
      sizeBytes += chunk.length;
    },
    end: () => {
      chunks.drain();
      const sums = Buffer.alloc(8);
      sums.writeUInt32LE(crc, 0);
      sums.writeUInt32LE(sizeBytes % 2 ** 32, 4);
      emit(FINAL_EMPTY_BLOCK);
      emit(sums);
    },
  };
}
