// A segment that was packed before, taken over as it is from the layer that holds it. Which store
// path it is of is the caller's word; that its bytes are still those that were packed is checked.

import { closeSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { CHUNK_SIZE_BYTES, type ChunkBuffer } from "./chunk-writer.ts";

export interface StoredSegment {
  readonly file: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Of its compressed bytes: against damage, such as a disk's, and not against malice. */
  readonly crc32: number;
}

/** False where the file is gone or holds something else at this place. */
export function isIntact(segment: StoredSegment, buffer: ChunkBuffer): boolean {
  let sum = 0;
  try {
    readStoredSegment(segment, buffer, (bytes) => {
      sum = crc32(bytes, sum);
    });
  } catch {
    // Whatever keeps it from being read, the store path itself is there.
    return false;
  }
  return sum === segment.crc32;
}

/** What is passed on is used again: it must be used up before the call returns. */
export function readStoredSegment(
  { file, offsetBytes, sizeBytes }: StoredSegment,
  buffer: ChunkBuffer,
  onBytes: (bytes: Buffer) => void,
): void {
  const descriptor = openSync(file, "r");
  try {
    for (let done = 0; done < sizeBytes; ) {
      const wanted = Math.min(sizeBytes - done, CHUNK_SIZE_BYTES);
      const got = readSync(descriptor, buffer, 0, wanted, offsetBytes + done);
      if (got !== wanted) {
        throw new Error(
          `the segment at ${offsetBytes}, ${sizeBytes} bytes, of ${file} is cut short`,
        );
      }
      onBytes(buffer.subarray(0, got));
      done += got;
    }
  } finally {
    closeSync(descriptor);
  }
}
