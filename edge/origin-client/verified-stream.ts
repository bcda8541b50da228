// Streams bytes that are only known to be right at their end: the last piece is held back until length
// and hash match, so that a wrong blob never arrives complete.

import { type Digest, toDigest } from "../../registry/naming/digest.ts";

export interface MeasuredContent {
  readonly sizeBytes: number;
  /** Told of bytes that are too few or another digest's; not of a reader that leaves. */
  readonly onWrong?: (why: string) => void;
}

export interface VerifiedContent extends MeasuredContent {
  readonly digest: Digest;
}

/** Looks at the pieces as they pass, and says at their end what is wrong with them. */
interface Check {
  add(piece: Uint8Array): Promise<void>;
  wrong(): Promise<string | undefined>;
}

/**
 * Read at a time, into one buffer: what passes through a stream of JavaScript's own in the pieces that
 * it comes in takes the processor eight times as long.
 */
const PIECE_BYTES = 128 * 1024;

/** The same bytes; errors instead of ending when they are not those of the digest. */
export function verifiedStream(
  body: ReadableStream<Uint8Array>,
  { digest, ...content }: VerifiedContent,
): ReadableStream<Uint8Array> {
  return pumped(body, content, digestCheck(digest));
}

/** The same bytes; errors instead of ending, and says so, when there are fewer. */
export function measuredStream(
  body: ReadableStream<Uint8Array>,
  content: MeasuredContent,
): ReadableStream<Uint8Array> {
  return pumped(body, content, { add: async () => {}, wrong: async () => undefined });
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

function digestCheck(digest: Digest): Check {
  const hash = new crypto.DigestStream("SHA-256");
  // When the stream fails first nobody awaits this, and a rejection without an owner is logged.
  hash.digest.catch(() => undefined);
  const writer = hash.getWriter();
  return {
    add: (piece) => writer.write(piece),
    async wrong() {
      await writer.close();
      const arrived = toDigest(await hash.digest);
      return arrived === digest ? undefined : `${digest} arrived as ${arrived}`;
    },
  };
}

/** Whichever end fails, the other is told, and nobody else is there to be told. */
function pumped(
  body: ReadableStream<Uint8Array>,
  content: MeasuredContent,
  check: Check,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(content.sizeBytes);
  const source = body.getReader({ mode: "byob" });
  const destination = writable.getWriter();
  copyChecked(source, destination, content, check).catch((error) =>
    Promise.allSettled([source.cancel(error), destination.abort(error)]),
  );
  return readable;
}

async function copyChecked(
  source: ReadableStreamBYOBReader,
  destination: WritableStreamDefaultWriter<Uint8Array>,
  { sizeBytes, onWrong }: MeasuredContent,
  check: Check,
): Promise<void> {
  const fail = (why: string): never => {
    onWrong?.(why);
    throw new Error(why);
  };
  let buffer = new ArrayBuffer(PIECE_BYTES);
  for (let leftBytes = sizeBytes; leftBytes > 0; ) {
    const wanted = new Uint8Array(buffer, 0, Math.min(PIECE_BYTES, leftBytes));
    const { value } = await source.readAtLeast(wanted.length, wanted);
    if (value === undefined || value.length === 0) return fail("ended early");
    leftBytes -= value.length;
    await check.add(value);
    const wrong = leftBytes === 0 ? await check.wrong() : undefined;
    if (wrong !== undefined) return fail(wrong);
    await destination.write(value);
    buffer = value.buffer;
  }
  await destination.close();
}
