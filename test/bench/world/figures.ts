// The simulated world in figures, of 2026-11-28: how far things are from one another, and how long the
// tiers of the platform take. What is published says where; what is not is marked, and chosen so that
// it favours the rivals.

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: "ms" | "Mbit/s";
  readonly source: string;
}

const figure = (what: string, value: number, unit: Figure["unit"], source: string): Figure => ({
  ...{ what, value, unit, source },
});

export const FIGURES = {
  nearbyRtt: figure(
    "a user and the nearest location, or a registry in the same region: round trip",
    15,
    "ms",
    "assumed; Cloudflare says that 95 % of the Internet's users are within about 50 ms of it (unverified)",
  ),
  farRtt: figure(
    "a user and what is a continent away: round trip, Tokyo to Virginia",
    145,
    "ms",
    "145.3 ms in the table of AWS's regions of 2017, acomputerscientistlearnsaws.blogspot.com",
  ),
  access: figure(
    "a user's own line",
    1000,
    "Mbit/s",
    "assumed: a server's or a CI runner's; with a slower one latencies count for less",
  ),
  kvHot: figure(
    "KV, what the location has read within the read's cacheTtl",
    5,
    "ms",
    "p99 below 5 ms since 2025 (eranstiller.com/news/cloudflare-workers-kv), nearly half of all reads below 1 ms (blog.cloudflare.com/faster-workers-kv)",
  ),
  kvCold: figure(
    "KV, anything else",
    200,
    "ms",
    "p99 of 200 ms before 2025 (the first of those); 100 to 300 ms are told of (unverified)",
  ),
  cache: figure(
    "the location's cache (Cache API)",
    10,
    "ms",
    "not published; 5 to 15 ms is what Cloudflare's community answers (answeroverflow.com/m/1406008733749739602)",
  ),
  r2Near: figure(
    "R2, from a location in the bucket's region: first byte",
    30,
    "ms",
    "not published; assumed. The rival's bucket takes as long",
  ),
  r2Far: figure(
    "R2, from a location a continent away: first byte",
    175,
    "ms",
    "that and the far round trip: a bucket lies in one region",
  ),
} as const satisfies Readonly<Record<string, Figure>>;

/** What the Worker is told of the place that a request comes from; it waits as long for each tier. */
export interface Place {
  /** Tells its cache and what is hot there from every other place's. */
  readonly name: string;
  readonly kvHotMs: number;
  readonly kvColdMs: number;
  readonly cacheMs: number;
  readonly r2Ms: number;
  readonly originMs: number;
}

export interface Region {
  readonly name: "next to the bucket" | "a continent away";
  /** To a registry and a bucket that are in one region, and to the edge's origin there. */
  readonly regionRttMs: number;
  readonly r2Ms: number;
}

export const REGIONS: readonly Region[] = [
  {
    name: "next to the bucket",
    regionRttMs: FIGURES.nearbyRtt.value,
    r2Ms: FIGURES.r2Near.value,
  },
  { name: "a continent away", regionRttMs: FIGURES.farRtt.value, r2Ms: FIGURES.r2Far.value },
];

export function placeIn({ regionRttMs, r2Ms }: Region, name: string): Place {
  const { kvHot, kvCold, cache } = FIGURES;
  return {
    ...{ name, r2Ms, originMs: regionRttMs },
    ...{ kvHotMs: kvHot.value, kvColdMs: kvCold.value, cacheMs: cache.value },
  };
}

/** As a user of the region reaches the nearest location of the edge. */
export const EDGE_RTT_MS = FIGURES.nearbyRtt.value;
export const ACCESS_BYTES_PER_SECOND = (FIGURES.access.value * 1e6) / 8;
