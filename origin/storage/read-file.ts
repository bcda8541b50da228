// A file, or a part of it, as a stream.

import { type FileHandle, open } from "node:fs/promises";
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
  return handle && streamOf(handle, range);
}

/**
 * To the end of the file without a range. Closes the file at its end, and where the reader leaves. Node's
 * own Readable.toWeb throws beside all handlers where the reader leaves while a chunk is on its way (24.21).
 */
export function streamOf(handle: FileHandle, range: ByteRange | null): ReadableStream<Uint8Array> {
  let position = range?.offset ?? 0;
  let left = range?.length ?? Number.POSITIVE_INFINITY;
  let hasLeft = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, left));
      const { bytesRead } = await closingOnError(handle, () =>
        handle.read(bytes, 0, bytes.length, position),
      );
      if (hasLeft) return;
      position += bytesRead;
      left -= bytesRead;
      if (bytesRead > 0) controller.enqueue(bytes.subarray(0, bytesRead));
      if (bytesRead > 0 && left > 0) return;
      await handle.close();
      if (!hasLeft) controller.close();
    },
    async cancel() {
      hasLeft = true;
      // Waits for what is being read.
      await handle.close();
    },
  });
}

async function closingOnError<T>(handle: FileHandle, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    await handle.close();
    throw error;
  }
}
