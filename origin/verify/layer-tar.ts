// The archive that a stored layer is the compressed form of, as a stream, whoever has compressed it.

import { pipeline } from "node:stream";
import { createGunzip, zstdDecompressSync } from "node:zlib";
import type { Form } from "../../registry/image/record.ts";

/** Ours hold 4 MiB each, compressed; another's may be larger. */
const MAX_FRAME_BYTES = 64 << 20;
const ZSTD_MAGIC = 0xfd2fb528;

/** Throws where the bytes are no such layer. */
export function layerTar(stored: AsyncIterable<Uint8Array>, form: Form): AsyncIterable<Uint8Array> {
  switch (form) {
    case "zstd":
      return unzstd(stored);
    case "gzip":
      // What goes wrong before it, whoever reads it is told as well.
      return pipeline(stored, createGunzip(), () => undefined);
    default:
      return form satisfies never;
  }
}

/** Node's own stream ends with the first frame of several (24.21). */
async function* unzstd(stored: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let held = Buffer.alloc(0);
  for await (const bytes of stored) {
    held = Buffer.concat([held, bytes]);
    for (;;) {
      const end = frameEnd(held);
      if (end === undefined) break;
      yield zstdDecompressSync(held.subarray(0, end), { maxOutputLength: MAX_FRAME_BYTES });
      held = held.subarray(end);
    }
    if (held.length > MAX_FRAME_BYTES) throw new Error("a frame is larger than any of a layer");
  }
  if (held.length > 0) throw new Error("the layer ends within a frame");
}

/** Where the first frame ends, by its header and the sizes of its blocks (RFC 8878, 3.1.1). */
function frameEnd(bytes: Buffer): number | undefined {
  if (bytes.length < 5) return undefined;
  if (bytes.readUInt32LE(0) !== ZSTD_MAGIC) throw new Error("the layer is no zstd");
  const descriptor = bytes.readUInt8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let end = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
  for (let isLast = false; !isLast; ) {
    if (bytes.length < end + 3) return undefined;
    const header = bytes.readUIntLE(end, 3);
    const isRepeatedByte = ((header >> 1) & 3) === 1;
    end += 3 + (isRepeatedByte ? 1 : header >> 3);
    isLast = (header & 1) === 1;
  }
  if ((descriptor & 4) !== 0) end += 4;
  return bytes.length < end ? undefined : end;
}
