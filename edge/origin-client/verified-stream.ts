// Streams bytes whose digest is only known to be right at their end: the last piece is held back
// until length and hash match, so that a wrong blob never arrives complete.

import { type Digest, toDigest } from "../../registry/naming/digest.ts";

/** The same bytes; errors instead of ending when they are not those of the digest, which is told. */
export function verifiedStream(
  body: ReadableStream<Uint8Array>,
  content: { readonly digest: Digest; readonly sizeBytes: number },
  wasWrong: (why: Error) => void,
): ReadableStream<Uint8Array> {
  const hash = new crypto.DigestStream("SHA-256");
  const hashWriter = hash.getWriter();
  // When the stream fails first nobody awaits this, and a rejection without an owner is logged.
  hash.digest.catch(() => undefined);
  let held: Uint8Array | undefined;

  const verify = new TransformStream<Uint8Array, Uint8Array>({
    async transform(chunk, controller) {
      await hashWriter.write(chunk);
      if (held !== undefined) controller.enqueue(held);
      held = chunk;
    },
    async flush(controller) {
      await hashWriter.close();
      const digest = toDigest(await hash.digest);
      if (digest !== content.digest) {
        const why = new Error(`${content.digest} arrived as ${digest}`);
        wasWrong(why);
        throw why;
      }
      if (held !== undefined) controller.enqueue(held);
    },
  });
  return fixedLength(body.pipeThrough(verify), content.sizeBytes);
}

/**
 * The runtime sends Content-Length, which clients need, only for a body of a known length. One of
 * another length ends in an error.
 */
export function fixedLength(
  body: ReadableStream<Uint8Array>,
  sizeBytes: number,
): ReadableStream<Uint8Array> {
  return body.pipeThrough(new FixedLengthStream(sizeBytes));
}
