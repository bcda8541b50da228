// Has the origin asked once for a whole blob, however many requests want it at the same time. Small
// ones are read whole here and handed to all of them; a larger one would have to be kept in memory for
// the slowest of its readers, so each of these asks for itself, and the origin reads one file for all.

import { readLimited } from "../../registry/http/body.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { ArrivingBlob, Room } from "../isolate/blob-flights.ts";
import type { OriginBlob } from "../origin-client/origin-answer.ts";
import { fixedLength } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";

/** Views, grounds and the layers of most packages, which are most of the requests of a pull. */
const MAX_JOINED_BYTES = 4 * 1024 * 1024;
/**
 * The runtime ends a request 30 s after its client has left, and those that joined it hear nothing
 * then. Past these they ask for themselves: for headers before clients give up, for bytes after that.
 */
const HEADERS_PATIENCE_MS = 10_000;
const BYTES_PATIENCE_MS = 40_000;

/** Of what is sent at a time, as streams have it elsewhere. */
const PIECE_BYTES = 64 * 1024;

/** Asks the origin for the whole blob, of which others may get the bytes too. */
export type AskWhole = () => Promise<OriginBlob>;

/** What the origin answers where it is not shared: nobody else reads that. */
export async function joinedBlob(
  edge: Edge,
  digest: Digest,
  ask: AskWhole,
): Promise<ArrivingBlob | OriginBlob> {
  const flight = edge.flights.lookup(digest);
  if (flight === undefined) return lead(edge, digest, ask);
  const arriving = await within(HEADERS_PATIENCE_MS, flight).catch(unlessForGood);
  if (arriving === undefined) return ask();
  edge.trace.collapsed();
  return arriving;
}

/**
 * The headers go out at once, however long the rest takes: clients wait for them, then for bytes. These
 * go out in pieces, of which the runtime makes copies: not of the whole for each of many slow clients.
 */
export function arrivingBody(
  digest: Digest,
  { room, bytes }: ArrivingBlob,
  ask: AskWhole,
): ReadableStream<Uint8Array> {
  const { sizeBytes } = room;
  let arrived: Uint8Array | undefined;
  let sentBytes = 0;
  room.users += 1;
  const leave = () => {
    room.users -= 1;
  };
  const arrive = async () =>
    (await within(BYTES_PATIENCE_MS, bytes).catch(() => undefined)) ??
    (await readWhole(await ask(), digest, sizeBytes));
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // A stream that has failed is not cancelled as well.
        arrived ??= await arrive().catch((error) => {
          leave();
          throw error;
        });
        controller.enqueue(arrived.subarray(sentBytes, sentBytes + PIECE_BYTES));
        sentBytes += PIECE_BYTES;
        if (sentBytes < sizeBytes) return;
        leave();
        controller.close();
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
  return fixedLength(body, sizeBytes);
}

async function lead(edge: Edge, digest: Digest, ask: AskWhole): Promise<ArrivingBlob | OriginBlob> {
  const { promise: flight, resolve, reject } = Promise.withResolvers<ArrivingBlob | undefined>();
  edge.flights.start(digest, flight);
  const land = () => edge.flights.end(digest, flight);
  // Nobody may have joined, and whoever began it may leave: it is brought to its end all the same. Who
  // asked is told of no answer; of bytes that are wrong, which are asked for again, the log is told.
  const bytesOf = (arriving: ArrivingBlob | undefined) => arriving?.bytes;
  edge.later("join", () => flight.then(bytesOf, () => undefined));
  try {
    const answer = await ask();
    const room = roomFor(edge, answer);
    if (room === undefined) {
      land();
      resolve(undefined);
      return answer;
    }
    const bytes = readWhole(answer, digest, room.sizeBytes).finally(() => {
      land();
      room.users -= 1;
    });
    const arriving = { room, bytes };
    resolve(arriving);
    return arriving;
  } catch (error) {
    land();
    reject(error);
    throw error;
  }
}

/** Undefined for what is not shared. */
function roomFor(edge: Edge, { status, headers, body }: OriginBlob): Room | undefined {
  const text = headers.get("Content-Length") ?? "";
  const sizeBytes = Number(text);
  // Of no bytes the headers are all that goes out, so they are compared before it.
  const isSmall = /^\d{1,15}$/.test(text) && sizeBytes > 0 && sizeBytes <= MAX_JOINED_BYTES;
  if (status !== 200 || body === null || !isSmall) return undefined;
  return edge.flights.take(sizeBytes, edge.now());
}

async function readWhole(
  { body, wasWrong }: OriginBlob,
  digest: Digest,
  sizeBytes: number,
): Promise<Uint8Array> {
  const bytes = await readLimited(body, sizeBytes);
  const arrived = bytes && (await digestOf(bytes));
  if (bytes !== undefined && arrived === digest) return bytes;
  const why = new Error(`${digest} arrived as ${arrived}`);
  wasWrong(why);
  throw why;
}

/** That the origin has no such blob is so for all; any other failure is of whom it met. */
function unlessForGood(error: unknown): undefined {
  if (error instanceof RegistryError && error.status === 404) throw error;
  return undefined;
}

/** Undefined after that time. Without a timer of its own a request that waits for another counts as hung. */
async function within<Result>(ms: number, work: Promise<Result>): Promise<Result | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms, undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
