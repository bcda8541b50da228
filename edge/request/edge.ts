// What the code below the boundary works with: one request's view of storage, origin and clock.

import type { AssetFiles } from "../../page/html/assets.ts";
import type { TagPins } from "../../registry/between/tag-pins.ts";
import type { SecretKey } from "../../registry/between/token.ts";
import type { Platforms } from "../../registry/http/platforms.ts";
import type { Found } from "../../registry/image/lookup.ts";
import type { PackageRecord } from "../../registry/image/record.ts";
import type { Variant } from "../../registry/image/variant.ts";
import type { IndexRoot } from "../../registry/package-index/root.ts";
import type { Shard } from "../../registry/package-index/shard.ts";
import type { BlobFlights } from "../isolate/blob-flights.ts";
import type { BriefMemory } from "../isolate/brief-memory.ts";
import type { Document, DocumentMemory } from "../isolate/document-memory.ts";
import type { FillClaims } from "../isolate/fill-claims.ts";
import type { Manifest } from "../isolate/manifest.ts";
import type { Pointer } from "../isolate/pointer.ts";
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

/** What one request has read of pins, lookups, records and indexes, of which it may read so many times. */
export interface DocumentReads {
  /** Undefined of what KV has not. */
  readonly pins: Map<string, TagPins | undefined>;
  left: number;
  /** Each has some hundred kilobytes, of which an isolate has room for so many at once. */
  shardsLeft: number;
  /** Keys under which KV had nothing of use. */
  readonly absent: Set<string>;
}

export interface Edge {
  readonly kv: KVNamespace;
  readonly r2: R2Bucket;
  /** What pages load; undefined where it was deployed without. */
  readonly assets: Pick<Fetcher, "fetch"> | undefined;
  /** Their names, once somebody has asked. */
  readonly assetFiles: { files?: AssetFiles };
  readonly cache: Cache;
  /** Whole blobs, out of Workers Cache where it has them; undefined where there is none. */
  readonly cachedBlobs: Pick<Fetcher, "fetch"> | undefined;
  /** Under which the location's cache has what this deployment put there. */
  readonly host: string;
  readonly memory: DocumentMemory<Manifest>;
  readonly pointers: BriefMemory<Pointer>;
  readonly pins: BriefMemory<TagPins>;
  readonly lookups: BriefMemory<Found>;
  readonly records: BriefMemory<PackageRecord>;
  /** Of package indexes: roots, shards, and names as one text. */
  readonly roots: BriefMemory<IndexRoot>;
  readonly shards: BriefMemory<Shard>;
  readonly names: BriefMemory<string>;
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
  /** For how long a tag's pointer and pins are believed without a look. */
  readonly pointerMemoryMs: number;
  /** What a name without a platform is answered for. */
  readonly platforms: Platforms;
  /** Clients are sent there for blobs, to anyone's own place, which looks at no right. */
  readonly blobsUrl: string | undefined;
  /** The form that this client is given by tag. */
  readonly variant: () => Variant;
  readonly logsPulls: boolean;
  readonly now: () => number;
  readonly trace: Trace;
  readonly misses: MissLimit;
  readonly keeps: KeepLimit;
  readonly reads: DocumentReads;
  /** Work that begins once there is an answer. It may be cut short, so nothing may depend on it. */
  readonly later: (event: string, work: () => Promise<unknown>) => void;
  readonly log: (line: LogLine) => void;
}
