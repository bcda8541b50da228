// gzip, which both sides keep and send the objects of an index in. Their digests are of what is in them, so
// it does not matter who has compressed them, and how well.

import { readLimited } from "../http/body.ts";

export async function pack(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const stream = streamOf(bytes).pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undefined for what is no gzip, or of more bytes than that. */
export async function unpack(
  packed: Uint8Array,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  try {
    const stream = streamOf(packed).pipeThrough(new DecompressionStream("gzip"));
    return await readLimited(stream, maxBytes);
  } catch {
    return undefined;
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  // A browser's types tell shared memory apart, which nothing here is in.
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}
