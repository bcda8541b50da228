// Small blobs on their way from the origin, for every request of this isolate that wants one of them.
// Requests may share bytes and promises of bytes, but no stream: that belongs to the one that opened it.

import type { Digest } from "../../registry/naming/digest.ts";

/** What is known of a blob as soon as the origin begins to answer. */
export interface ArrivingBlob {
  readonly sizeBytes: number;
  /** All of them, verified. */
  readonly bytes: Promise<Uint8Array>;
}

/** Undefined for one that is too large to be shared. */
export type Flight = Promise<ArrivingBlob | undefined>;

export interface BlobFlights {
  lookup(digest: Digest): Flight | undefined;
  start(digest: Digest, flight: Flight): void;
  end(digest: Digest, flight: Flight): void;
  /** Whether there is room for so many bytes more, which is taken then until it is given back. */
  take(sizeBytes: number): boolean;
  giveBack(sizeBytes: number): void;
}

/** Of all that arrive at once: an isolate has 128 MB for everything. */
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;

export function createBlobFlights(maxTotalBytes = MAX_TOTAL_BYTES): BlobFlights {
  const flights = new Map<Digest, Flight>();
  let totalBytes = 0;
  return {
    lookup: (digest) => flights.get(digest),
    start: (digest, flight) => void flights.set(digest, flight),
    end(digest, flight) {
      if (flights.get(digest) === flight) flights.delete(digest);
    },
    take(sizeBytes) {
      if (totalBytes + sizeBytes > maxTotalBytes) return false;
      totalBytes += sizeBytes;
      return true;
    },
    giveBack(sizeBytes) {
      totalBytes -= sizeBytes;
    },
  };
}
