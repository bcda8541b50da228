// What the code below the boundary works with: one request's view of storage, origin and clock.

import type { SecretKey } from "../../registry/between/token.ts";
import type { ZstdUse } from "../../registry/http/negotiation.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import type { BlobFlights } from "../isolate/blob-flights.ts";
import type { Document, DocumentMemory } from "../isolate/document-memory.ts";
import type { FillClaims } from "../isolate/fill-claims.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { PullsToTell } from "../isolate/pulls-to-tell.ts";
import type { Refreshes } from "../isolate/refresh-claims.ts";
import type { SeenOnce } from "../isolate/seen-once.ts";
import type { VainTries } from "../isolate/vain-tries.ts";
import type { Origin } from "../origin-client/origin.ts";
import type { KeepLimit } from "./keep-limit.ts";
import type { MissLimit } from "./miss-limit.ts";
import type { Trace } from "./trace.ts";

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly cause?: unknown;
  readonly [fact: string]: unknown;
}

export interface Edge {
  readonly kv: KVNamespace;
  readonly r2: R2Bucket;
  readonly cache: Cache;
  /** Whole blobs, out of Workers Cache where it has them; undefined where there is none. */
  readonly cachedBlobs: Pick<Fetcher, "fetch"> | undefined;
  /** Under which the location's cache has what this deployment put there. */
  readonly host: string;
  readonly memory: DocumentMemory<Manifest>;
  /** Those composed here. */
  readonly configs: DocumentMemory<Document>;
  readonly seen: SeenOnce;
  readonly vainTries: VainTries;
  readonly refreshes: Refreshes;
  readonly flights: BlobFlights;
  readonly fills: FillClaims;
  /** Null where there is no origin that hears of them. */
  readonly pulls: PullsToTell | null;
  readonly origin: Origin;
  /** Empty without a secret: then nothing is ingested. */
  readonly secretKeys: readonly SecretKey[];
  readonly pinFreshMs: number;
  /** What a name without a platform is answered for. */
  readonly platforms: Platforms;
  readonly zstd: ZstdUse;
  /** Clients are sent there for blobs, to anyone's own place, which looks at no right. */
  readonly blobsUrl: string | undefined;
  readonly logsPulls: boolean;
  readonly now: () => number;
  readonly trace: Trace;
  readonly misses: MissLimit;
  readonly keeps: KeepLimit;
  /** Work behind the answer. It may be cut short, so nothing may depend on it. */
  readonly later: (event: string, work: () => Promise<unknown>) => void;
  readonly log: (line: LogLine) => void;
}
