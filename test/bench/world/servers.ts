// What clients of the simulated world ask: the real Worker, which says how long it would have taken,
// and the rivals, of which only the distance counts.

import type { RunningEdge } from "../../../origin/command/workerd.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../../registry/image/media-type.ts";
import type { Answered, Asked, Server } from "./clients.ts";
import { EDGE_RTT_MS, FIGURES, type Place, type Region } from "./figures.ts";
import { PLACE_HEADER, type PlaceOfRequest, TOOK_HEADER } from "./told.ts";

/** As a user finds it at a place; `aheadMs` is how much later than now it is. */
export function edgeServer({ url }: RunningEdge, place: Place, aheadMs: number): Server {
  const from: PlaceOfRequest = { ...place, aheadMs };
  return {
    rttMs: EDGE_RTT_MS,
    async answer({ method, path, userAgent }) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...{ Accept: `${OCI_MANIFEST}, ${OCI_INDEX}`, "User-Agent": userAgent },
          [PLACE_HEADER]: JSON.stringify(from),
        },
      });
      const body = await response.bytes();
      const told = `${method} ${path}: HTTP ${response.status}`;
      if (!response.ok) throw new Error(`${told} ${new TextDecoder().decode(body)}`);
      return {
        body,
        tookMs: Number(response.headers.get(TOOK_HEADER)),
        digest: response.headers.get("Docker-Content-Digest") ?? undefined,
        cacheStatus: response.headers.get("Cache-Status") ?? undefined,
      };
    },
  };
}

export type Served = Pick<Answered, "body" | "digest">;
/** What a registry has of one image, by what follows `/v2/`. */
export type Content = ReadonlyMap<string, Served>;

/** A registry in one region with its blobs on its own disk, which take no time. */
export function regionalServer({ regionRttMs: rttMs }: Region, content: Content): Server {
  return { rttMs, answer: async (asked) => ({ ...found(content, asked), tookMs: 0 }) };
}

/** A registry in one region that sends who asks for a blob to a bucket there. */
export function redirectingServer({ regionRttMs: rttMs }: Region, content: Content): Server {
  const bucket: Server = {
    rttMs,
    answer: async (asked) => ({ ...found(content, asked), tookMs: FIGURES.r2Near.value }),
  };
  const elsewhere = { body: new Uint8Array(), digest: undefined, tookMs: 0, elsewhere: bucket };
  return {
    rttMs,
    async answer(asked) {
      if (asked.path.includes("/blobs/")) return elsewhere;
      return { ...found(content, asked), tookMs: 0 };
    },
  };
}

function found(content: Content, { method, path }: Asked): Served {
  const one = content.get(path.replace("/v2/", ""));
  if (one === undefined) throw new Error(`${method} ${path}: nothing there`);
  return one;
}
