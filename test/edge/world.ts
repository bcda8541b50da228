// An edge in workerd with real KV and R2, in front of a fake origin, and what a test does with them:
// pull as a client does, push as the origin does.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, expect } from "vitest";
import { type RunningEdge, startEdge } from "../../origin/command/workerd.ts";
import {
  callsForLookups,
  callsForRecords,
  cutBodies,
  MAX_LOOKUPS_PER_BODY,
  MAX_RECORDS_PER_BODY,
} from "../../registry/between/backfill.ts";
import { parseSecretKeys, signRequest } from "../../registry/between/token.ts";
import { ingestPath } from "../../registry/http/route.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import { READS_ZSTD, tagOf } from "../registry/fixture.ts";
import {
  CONTROLS_HEADER,
  type Controls,
  NOW_MS,
  OPERATIONS_HEADER,
  SUBREQUESTS_HEADER,
} from "./controls.ts";
import { type FakeOrigin, startFakeOrigin } from "./fake-origin.ts";
import { imageOf, imagePointer, lookupsBody, recordsBody, type Stock, tagPins } from "./stock.ts";

export const SECRET = "a secret of these tests";
export const PIN_FRESH_MS = 300_000;

export interface Pull {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly controls?: Controls;
}

export interface Push {
  readonly secret?: string;
  /** Signed instead of the body's own digest. */
  readonly signedDigest?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly controls?: Controls;
}

export interface World {
  readonly edge: RunningEdge;
  readonly origin: FakeOrigin;
  readonly log: string[];
  pull(path: string, options?: Pull): Promise<Response>;
  /** JSON bodies and manifests are bound by the token, blobs are not. */
  push(method: string, path: string, body: unknown, options?: Push): Promise<Response>;
  pushBlobs(stock: Stock): Promise<void>;
  /** Everything of a stock, and an image of it for each repository named. */
  backfill(
    stock: Stock,
    options: {
      readonly tag: string;
      readonly pin: Pin;
      readonly resolvedAtMs?: number;
      readonly repositories?: readonly string[];
    },
  ): Promise<void>;
  close(): Promise<void>;
}

export async function startWorld(
  options: Partial<Parameters<typeof startEdge>[0]> = {},
): Promise<World> {
  const statePath = await mkdtemp(join(tmpdir(), "nixport-edge-"));
  const origin = await startFakeOrigin();
  const log: string[] = [];
  const edge = await startEdge({
    port: 0,
    statePath,
    originUrl: origin.url,
    secret: SECRET,
    pinFreshSeconds: PIN_FRESH_MS / 1000,
    // The clock of tests stands still, and so would what is remembered for a while.
    pointerMemorySeconds: 0,
    entryPath: fileURLToPath(new URL("./worker-entry.js", import.meta.url)),
    onLog: (line) => log.push(line),
    ...options,
  });

  const world: World = {
    edge,
    origin,
    log,
    pull(path, { method = "GET", headers = {}, controls = {} } = {}) {
      return fetch(edge.url + path, {
        method,
        // A client that gets what a stock has; with another a test asks for another form.
        headers: {
          "User-Agent": READS_ZSTD,
          ...headers,
          [CONTROLS_HEADER]: JSON.stringify(controls),
        },
        redirect: "manual",
      });
    },
    async push(method, path, body, { secret = SECRET, signedDigest, headers, controls } = {}) {
      const isBytes = body instanceof Uint8Array;
      const bytes = isBytes ? body : new TextEncoder().encode(JSON.stringify(body));
      const isBound = !isBytes || /^\/ingest\/(?:manifests\/|index)/.test(path);
      const bodyDigest = isBound ? (signedDigest ?? (await digestOf(bytes))) : undefined;
      const keys = parseSecretKeys(secret);
      assert(typeof keys !== "string");
      const { pathname } = new URL(path, edge.url);
      const token = await signRequest(
        keys,
        "origin",
        { method, path: pathname, bodyDigest },
        NOW_MS,
      );
      return fetch(edge.url + path, {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          [CONTROLS_HEADER]: JSON.stringify(controls ?? {}),
          ...headers,
        },
        body: bytes,
      });
    },
    async pushBlobs(stock) {
      for (const [digest, bytes] of stock.blobs) {
        await accepted(world.push("PUT", ingestPath.blob(digest), bytes));
      }
    },
    async backfill(stock, { tag, pin, resolvedAtMs = NOW_MS, repositories = [] }) {
      await world.pushBlobs(stock);
      const { records } = recordsBody(stock);
      for (const some of cutBodies(records, callsForRecords, MAX_RECORDS_PER_BODY)) {
        await accepted(world.push("POST", ingestPath.records, { records: some }));
      }
      const { lookups, ...at } = lookupsBody(stock, pin);
      for (const some of cutBodies(lookups, callsForLookups, MAX_LOOKUPS_PER_BODY)) {
        await accepted(world.push("POST", ingestPath.lookups, { ...at, lookups: some }));
      }
      const pins = { tag: tagOf(tag), pins: tagPins(stock, pin, resolvedAtMs) };
      await accepted(world.push("POST", ingestPath.pointers, { tag: pins, image: null }));
      for (const repository of repositories) {
        const { config, manifest } = await imageOf(stock, repository);
        await accepted(world.push("PUT", ingestPath.blob(config.digest), config.bytes));
        await accepted(world.push("PUT", ingestPath.manifest(manifest.digest), manifest.bytes));
        const image = imagePointer(repository, tag, manifest.digest, pin, resolvedAtMs);
        await accepted(world.push("POST", ingestPath.pointers, { tag: null, image }));
      }
    },
    async close() {
      await edge.close();
      await origin.stop();
      await rm(statePath, { recursive: true, force: true });
    },
  };
  return world;
}

async function accepted(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const text = await response.text();
  assert(response.ok, `${response.status} ${text}`);
}

export interface RegistryErrorBody {
  readonly code: string;
  readonly message: string;
  readonly detail?: unknown;
}

/** The one error of an answer, which must be the registry's JSON. */
export async function errorOf(response: Response): Promise<RegistryErrorBody> {
  expect(response.headers.get("Content-Type")).toBe("application/json");
  expect(response.headers.get("Cache-Control")).toBe("no-store");
  const body = (await response.json()) as { errors: RegistryErrorBody[] };
  const [error] = body.errors;
  assert(error);
  return error;
}

let places = 0;

/** Neither an isolate nor a location's cache that has seen anything. */
export function elsewhere(): Controls {
  return { coldMemory: true, location: `place-${places++}` };
}

export function operationsOf(response: Response): unknown {
  return JSON.parse(response.headers.get(OPERATIONS_HEADER) ?? "null");
}

/** What of KV, R2 and the location's cache a request used: before its answer, and with what came behind. */
export function subrequestsOf(response: Response): Readonly<Record<"before" | "all", Operations>> {
  return JSON.parse(response.headers.get(SUBREQUESTS_HEADER) ?? "null");
}

export type Operations = Readonly<Record<string, number>>;

export function cacheStatus(response: Response): string | null {
  return response.headers.get("Cache-Status");
}

export function blobPath(digest: Digest): string {
  return `/v2/any/blobs/${digest}`;
}

export function manifestPath(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}
