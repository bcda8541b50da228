// A segment that was packed before, taken over as it is from the layer that holds it. Its content is
// the caller's word: what is checked is that the slice is there and begins like a segment.

import { closeSync, openSync, readSync } from "node:fs";
import type { Form } from "../../registry/record.ts";
import { CHUNK_SIZE_BYTES, type ChunkBuffer } from "./chunk-writer.ts";
import { SEGMENT_MAGIC } from "./compression.ts";

export interface StoredSegment {
  readonly file: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** What is passed on is used again: it must be used up before the call returns. */
export function copyStoredSegment(
  { file, offsetBytes, sizeBytes }: StoredSegment,
  form: Form,
  buffer: ChunkBuffer,
  onBytes: (bytes: Buffer) => void,
): void {
  const describe = () => `the segment at ${offsetBytes}, ${sizeBytes} bytes, of ${file}`;
  const magic = SEGMENT_MAGIC[form];
  if (!(sizeBytes >= magic.length)) throw new Error(`${describe()} is too short for ${form}`);
  const descriptor = openSync(file, "r");
  try {
    for (let done = 0; done < sizeBytes; ) {
      const wanted = Math.min(sizeBytes - done, CHUNK_SIZE_BYTES);
      const got = readSync(descriptor, buffer, 0, wanted, offsetBytes + done);
      if (got !== wanted) throw new Error(`${describe()} is cut short`);
      if (done === 0 && magic.compare(buffer, 0, magic.length) !== 0) {
        throw new Error(`${describe()} does not begin like ${form}`);
      }
      onBytes(buffer.subarray(0, got));
      done += got;
    }
  } finally {
    closeSync(descriptor);
  }
}
