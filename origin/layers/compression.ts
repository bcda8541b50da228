// The compressed bytes of a segment: a function of its tar bytes and the form, whatever lies before
// or after it in a layer. zstd: one frame for each chunk; gzip: one member for each segment. Both
// formats allow concatenation, so a layer is made of segments one after the other.

import zlib from "node:zlib";
import type { Form } from "../../registry/record.ts";
import { CHUNK_SIZE_BYTES } from "./chunk-writer.ts";

/** Raised with every change that gives other bytes for the same store path. */
const FORMAT_VERSION = 1;
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 2;

/**
 * Beyond the bound of either compressor. With less room zstd takes its streaming path, which splits
 * blocks otherwise: other bytes, and a little more of them (Node 24.21, zstd 1.5.7).
 */
const OUTPUT_SLACK_BYTES = 64 << 10;
/** As far back as deflate can refer. */
const WINDOW_SIZE_BYTES = 32 << 10;

/** RFC 8878, 3.1.1; RFC 1952, 2.3.1. */
export const SEGMENT_MAGIC: Readonly<Record<Form, Buffer>> = {
  zstd: Buffer.of(0x28, 0xb5, 0x2f, 0xfd),
  gzip: Buffer.of(0x1f, 0x8b, 8),
};

export interface SegmentCompressor {
  /** Takes the next chunk: a full one, or the last. */
  compress(chunk: Uint8Array): readonly Uint8Array[];
  end(): readonly Uint8Array[];
}

export function createSegmentCompressor(form: Form): SegmentCompressor {
  switch (form) {
    case "zstd":
      return { compress: (chunk) => [zstdFrame(chunk)], end: () => [] };
    case "gzip":
      return createGzipMember();
    default:
      return form satisfies never;
  }
}

/** The bytes of a segment that is in memory already. */
export function compressSegment(tar: Uint8Array, form: Form): Buffer {
  const compressor = createSegmentCompressor(form);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < tar.length; at += CHUNK_SIZE_BYTES) {
    pieces.push(...compressor.compress(tar.subarray(at, at + CHUNK_SIZE_BYTES)));
  }
  return Buffer.concat([...pieces, ...compressor.end()]);
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

function zstdFrame(chunk: Uint8Array): Uint8Array {
  return zlib.zstdCompressSync(chunk, {
    chunkSize: chunk.length + OUTPUT_SLACK_BYTES,
    params: { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  });
}

/** RFC 1952: deflate, no flags, no time, no extra flags, unknown system. */
const GZIP_HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);
/** RFC 1951: a last block of fixed codes that holds nothing. */
const FINAL_EMPTY_BLOCK = Uint8Array.of(3, 0);

/**
 * Chunks are deflated one by one, each knowing the end of the one before, and joined at byte
 * borders: one ordinary member with the ratio of a plain stream, in constant memory.
 */
function createGzipMember(): SegmentCompressor {
  const window = Buffer.alloc(WINDOW_SIZE_BYTES);
  let windowSizeBytes = 0;
  let crc = 0;
  let sizeBytes = 0;
  return {
    compress: (chunk) => {
      const deflated = zlib.deflateRawSync(chunk, {
        level: GZIP_LEVEL,
        chunkSize: chunk.length + OUTPUT_SLACK_BYTES,
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        ...(windowSizeBytes > 0 && { dictionary: window.subarray(0, windowSizeBytes) }),
      });
      const isFirst = sizeBytes === 0;
      // The chunk's memory is used again, so its end is copied.
      const tail = chunk.subarray(Math.max(0, chunk.length - WINDOW_SIZE_BYTES));
      window.set(tail);
      windowSizeBytes = tail.length;
      crc = zlib.crc32(chunk, crc);
      sizeBytes += chunk.length;
      return isFirst ? [GZIP_HEADER, deflated] : [deflated];
    },
    end: () => {
      const sums = Buffer.alloc(8);
      sums.writeUInt32LE(crc, 0);
      sums.writeUInt32LE(sizeBytes % 2 ** 32, 4);
      return [FINAL_EMPTY_BLOCK, sums];
    },
  };
}
