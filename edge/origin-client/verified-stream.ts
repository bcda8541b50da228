// Streams bytes that are only known to be right at their end: the last piece is held back until length
// and hash match, so that a wrong blob never arrives complete.

import { type Digest, toDigest } from "../../registry/naming/digest.ts";

export interface VerifiedContent {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Told of bytes that are too few or another digest's; not of a reader that leaves. */
  readonly onWrong?: (why: string) => void;
}

/**
 * Read at a time, into one buffer: what passes through a stream of JavaScript's own in the pieces that
 * it comes in takes the processor eight times as long.
 */
const PIECE_BYTES = 128 * 1024;

/** The same bytes; errors instead of ending when they are not those of the digest. */
export function verifiedStream(
  body: ReadableStream<Uint8Array>,
  content: VerifiedContent,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(content.sizeBytes);
  const source = body.getReader({ mode: "byob" });
  const destination = writable.getWriter();
  // Whichever end fails, the other is told, and nobody else is there to be told.
  copyVerified(source, destination, content).catch((error) =>
    Promise.allSettled([source.cancel(error), destination.abort(error)]),
  );
  return readable;
}

/**
 * The same bytes, copied by the runtime alone; errors instead of ending when they are not as many. Of a
 * stream that knows its length the runtime would else send that and not what the headers say, so that what was
 * cut would arrive as the whole. Nobody here is told: the promise of such a copy is kept whether its end was
 * right or not.
 */
export function fixedLength(
  body: ReadableStream<Uint8Array>,
  sizeBytes: number,
): ReadableStream<Uint8Array> {
  return body.pipeThrough(new FixedLengthStream(sizeBytes));
}

async function copyVerified(
  source: ReadableStreamBYOBReader,
  destination: WritableStreamDefaultWriter<Uint8Array>,
  { digest, sizeBytes, onWrong }: VerifiedContent,
): Promise<void> {
  const fail = (why: string): never => {
    onWrong?.(why);
    throw new Error(why);
  };
  const hash = new crypto.DigestStream("SHA-256");
  // When the stream fails first nobody awaits this, and a rejection without an owner is logged.
  hash.digest.catch(() => undefined);
  const hashed = hash.getWriter();
  let buffer = new ArrayBuffer(PIECE_BYTES);
  for (let leftBytes = sizeBytes; leftBytes > 0; ) {
    const wanted = new Uint8Array(buffer, 0, Math.min(PIECE_BYTES, leftBytes));
    const { value } = await source.readAtLeast(wanted.length, wanted);
    if (value === undefined || value.length === 0) return fail("ended early");
    leftBytes -= value.length;
    await hashed.write(value);
    if (leftBytes === 0) {
      await hashed.close();
      const arrived = toDigest(await hash.digest);
      if (arrived !== digest) return fail(`${digest} arrived as ${arrived}`);
    }
    await destination.write(value);
    buffer = value.buffer;
  }
  await destination.close();
}
