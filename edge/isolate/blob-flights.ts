// Small blobs on their way from the origin, for every request of this isolate that wants one of them.
// Requests may share bytes and promises of bytes, but no stream: that belongs to the one that opened it.

import type { Digest } from "../../registry/naming/digest.ts";

/** What is known of a blob as soon as the origin begins to answer. */
export interface ArrivingBlob {
  readonly room: Room;
  /** All of them, verified. */
  readonly bytes: Promise<Uint8Array>;
}

/** The memory for the bytes of one blob: taken while anyone uses them. */
export interface Room {
  readonly sizeBytes: number;
  readonly takenAtMs: number;
  /** Who fetches them, and who still sends them to a client. */
  users: number;
}

/** Undefined for one that is too large to be shared. */
export type Flight = Promise<ArrivingBlob | undefined>;

export interface BlobFlights {
  lookup(digest: Digest): Flight | undefined;
  start(digest: Digest, flight: Flight): void;
  end(digest: Digest, flight: Flight): void;
  /** For one user; undefined where there is none left. */
  take(sizeBytes: number, nowMs: number): Room | undefined;
}

/** Of all blobs at once: an isolate has 128 MB for everything. */
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;
/** The runtime ends a request without a word: whoever uses room for longer than this has gone. */
const LONGEST_USE_MS = 600_000;

export function createBlobFlights(maxTotalBytes = MAX_TOTAL_BYTES): BlobFlights {
  const flights = new Map<Digest, Flight>();
  const rooms = new Set<Room>();
  return {
    lookup: (digest) => flights.get(digest),
    start: (digest, flight) => void flights.set(digest, flight),
    end(digest, flight) {
      if (flights.get(digest) === flight) flights.delete(digest);
    },
    take(sizeBytes, takenAtMs) {
      let totalBytes = sizeBytes;
      for (const room of rooms) {
        const isFree = room.users === 0 || takenAtMs - room.takenAtMs > LONGEST_USE_MS;
        if (isFree) rooms.delete(room);
        else totalBytes += room.sizeBytes;
      }
      if (totalBytes > maxTotalBytes) return undefined;
      const room: Room = { sizeBytes, takenAtMs, users: 1 };
      rooms.add(room);
      return room;
    },
  };
}
