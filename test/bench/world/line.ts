// A network line as arithmetic: when bytes that are sent arrive. It has a round trip, a rate that all
// connections of its user share, and for each connection TCP's slow start. No packets are lost, which
// favours what is far away.

/** Of ten segments (RFC 6928). */
export const FIRST_WINDOW_BYTES = 10 * 1460;
/** What Linux lets a receiver have on the way at most, half of `net.ipv4.tcp_rmem`'s 6 MiB. */
export const LAST_WINDOW_BYTES = 3 * 1024 * 1024;

export interface Line {
  /** When the last of these bytes has passed, where they are sent at `nowMs`. */
  pass(bytes: number, nowMs: number): number;
}

export function createLine(bytesPerSecond: number): Line {
  let freeAtMs = 0;
  return {
    pass(bytes, nowMs) {
      freeAtMs = Math.max(freeAtMs, nowMs) + (1000 * bytes) / bytesPerSecond;
      return freeAtMs;
    },
  };
}

/** What it is given at once is at most `FIRST_WINDOW_BYTES`, and comes in the order of time. */
export interface Connection {
  readonly rttMs: number;
  /** When the other end will have told of enough for these bytes to be sent. */
  readyMs(bytes: number, nowMs: number): number;
  /** When they have passed the line; they arrive half a round trip later. Only once it is ready. */
  send(bytes: number, nowMs: number): number;
}

export function createConnection(line: Line, rttMs: number): Connection {
  const told: { readonly atMs: number; readonly bytes: number }[] = [];
  let windowBytes = FIRST_WINDOW_BYTES;
  let inFlightBytes = 0;

  function hear(nowMs: number): void {
    for (let [next] = told; next !== undefined && next.atMs <= nowMs; [next] = told) {
      inFlightBytes -= next.bytes;
      // Doubles with each round trip, since no loss ends the slow start.
      windowBytes = Math.min(windowBytes + next.bytes, LAST_WINDOW_BYTES);
      told.shift();
    }
  }

  return {
    rttMs,
    readyMs(bytes, nowMs) {
      hear(nowMs);
      let missingBytes = inFlightBytes + bytes - windowBytes;
      for (const { atMs, bytes: heard } of told) {
        if (missingBytes <= 0) break;
        missingBytes -= windowBytes < LAST_WINDOW_BYTES ? 2 * heard : heard;
        nowMs = atMs;
      }
      return nowMs;
    },
    send(bytes, nowMs) {
      hear(nowMs);
      const passedMs = line.pass(bytes, nowMs);
      inFlightBytes += bytes;
      told.push({ atMs: passedMs + rttMs, bytes });
      return passedMs;
    },
  };
}
