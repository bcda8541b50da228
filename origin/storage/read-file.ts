// A file, or a part of it, as a stream.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import type { ByteRange } from "../../registry/http/ranges.ts";
import { absentAsUndefined } from "./file-errors.ts";

/** Reads of 256 KiB: a layer is streamed, never held. */
export const READ_CHUNK_BYTES = 256 * 1024;

/** Undefined where there is no such file. What is removed later is read to its end. */
export async function openFile(
  path: string,
  range: ByteRange | null,
): Promise<ReadableStream<Uint8Array> | undefined> {
  const handle = await absentAsUndefined(open(path, "r"));
  if (handle === undefined) return undefined;
  const stream = createReadStream("", {
    fd: handle,
    highWaterMark: READ_CHUNK_BYTES,
    ...(range !== null && { start: range.offset, end: range.offset + range.length - 1 }),
  });
  // The two declarations of ReadableStream differ in name only.
  return Readable.toWeb(stream) as NodeReadableStream as ReadableStream<Uint8Array>;
}
