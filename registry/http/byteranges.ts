// Several parts of a content in one answer, `multipart/byteranges` (RFC 9110 §14.6): its text, its length
// before anything is read, and its bytes, of as few reads as there are large gaps.

import type { ByteRange } from "./ranges.ts";

export interface Multipart {
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly parts: readonly Part[];
  readonly end: Uint8Array;
}

interface Part {
  readonly head: Uint8Array;
  readonly range: ByteRange;
}

/** Gives exactly that range. */
export type OpenRange = (range: ByteRange) => Promise<ReadableStream<Uint8Array>>;

/** What lies between two parts is read and dropped up to this: that is sooner done than another read. */
const MAX_DROPPED_BYTES = 1024 * 1024;
/** Of one answer; beyond, the smallest gaps are read as well. */
const MAX_READS = 16;

/**
 * One part for each range, in their order: podman counts them. `boundary` is nothing that the content
 * holds.
 */
export function planMultipart(
  ranges: readonly ByteRange[],
  content: { readonly type: string; readonly sizeBytes: number; readonly boundary: string },
): Multipart {
  const encoder = new TextEncoder();
  const { type, boundary } = content;
  const parts = ranges.map((range, index) => {
    const lines = [
      `${index === 0 ? "" : "\r\n"}--${boundary}`,
      `Content-Type: ${type}`,
      `Content-Range: ${contentRange(range, content.sizeBytes)}`,
      "\r\n",
    ];
    return { head: encoder.encode(lines.join("\r\n")), range };
  });
  const end = encoder.encode(`\r\n--${boundary}--\r\n`);
  const partBytes = parts.map(({ head, range }) => head.length + range.length);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    sizeBytes: partBytes.reduce((sum, bytes) => sum + bytes, end.length),
    ...{ parts, end },
  };
}

export function contentRange({ offset, length }: ByteRange, sizeBytes: number): string {
  return `bytes ${offset}-${offset + length - 1}/${sizeBytes}`;
}

/** The first read is begun before anything is answered, so that its failure can still be told. */
export async function multipartBody(
  { parts, end }: Multipart,
  open: OpenRange,
): Promise<ReadableStream<Uint8Array>> {
  const [first, ...rest] = readsOf(parts);
  if (first === undefined) throw new Error("an answer of no parts");
  const opened = await open(first.range);
  const pieces = piecesOf(first, opened, rest, open, end);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* piecesOf(
  first: Read,
  opened: ReadableStream<Uint8Array>,
  rest: readonly Read[],
  open: OpenRange,
  end: Uint8Array,
): AsyncGenerator<Uint8Array, void, void> {
  yield* partsOf(first, opened);
  for (const read of rest) yield* partsOf(read, await open(read.range));
  yield end;
}

interface Read {
  readonly range: ByteRange;
  readonly parts: readonly Part[];
}

function readsOf(parts: readonly Part[]): readonly Read[] {
  const gaps = parts.map(({ range }, index) => range.offset - endOf(parts[index - 1]?.range));
  const leapt = gaps
    .map((gapBytes, index) => ({ gapBytes, index }))
    .filter(({ gapBytes, index }) => index > 0 && gapBytes > MAX_DROPPED_BYTES)
    .toSorted((a, b) => b.gapBytes - a.gapBytes)
    .slice(0, MAX_READS - 1)
    .map(({ index }) => index)
    .toSorted((a, b) => a - b);
  return [0, ...leapt].map((start, index) => {
    const group = parts.slice(start, leapt[index]);
    const offset = group[0]?.range.offset ?? 0;
    return { range: { offset, length: endOf(group.at(-1)?.range) - offset }, parts: group };
  });
}

function endOf(range: ByteRange | undefined): number {
  return range === undefined ? 0 : range.offset + range.length;
}

/** Whoever reads no further than into the middle has the rest cancelled. */
async function* partsOf(
  { range, parts }: Read,
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    let chunk = new Uint8Array();
    let at = range.offset;
    /** The next bytes, at most so many. */
    const take = async (maxBytes: number): Promise<Uint8Array> => {
      while (chunk.length === 0) {
        const { value } = await reader.read();
        if (value === undefined) throw new Error("a part ended early");
        chunk = value as Uint8Array<ArrayBuffer>;
      }
      const taken = chunk.subarray(0, maxBytes);
      chunk = chunk.subarray(taken.length);
      at += taken.length;
      return taken;
    };
    for (const { head, range: wanted } of parts) {
      yield head;
      while (at < wanted.offset) await take(wanted.offset - at);
      while (at < endOf(wanted)) yield await take(endOf(wanted) - at);
    }
  } finally {
    await reader.cancel();
  }
}
