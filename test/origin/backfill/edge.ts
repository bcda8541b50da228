// A small edge: a real server on loopback that checks what the edge must check, keeps what it is
// given in memory, and writes down in which order it came.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import * as v from "valibot";
import {
  lookupsBodySchema,
  type PointersBody,
  pointersBodySchema,
  recordsBodySchema,
} from "../../../registry/between/backfill.ts";
import { verifyRequest } from "../../../registry/between/token.ts";
import { errorResponse, RegistryError } from "../../../registry/http/error.ts";
import { type IngestRoute, parseIngestRoute } from "../../../registry/http/route.ts";
import { popularityBlob, recordLayers } from "../../../registry/image/record.ts";
import { type Digest, digestOf, parseDigest } from "../../../registry/naming/digest.ts";
import type { Ending } from "../fixture.ts";
import { NOW_MS, SECRET_KEYS } from "./fixture.ts";

export interface Received {
  readonly kind: IngestRoute["kind"];
  readonly digest: Digest | null;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface SmallEdge {
  readonly url: string;
  readonly received: Received[];
  readonly blobs: Map<Digest, Buffer>;
  readonly pointers: PointersBody[];
  /** Called with each request before it is looked at; what it throws is answered. */
  before: (received: Received) => Promise<void> | void;
  /** Resolves with the next request that a condition holds for. */
  next(condition: (received: Received) => boolean): Promise<Received>;
  /** Stops listening and drops every connection; `start` takes the port again. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** R2's smallest part is 5 MiB; here a few bytes do. */
export const PART_SIZE_BYTES = 10;
export const UPLOAD_ID = "upload/1+1=2";

export async function startEdge(onEnd: Ending): Promise<SmallEdge> {
  const waiting: { condition: (received: Received) => boolean; resolve: (r: Received) => void }[] =
    [];
  const parts = new Map<number, Buffer>();
  let port = 0;
  const server = createServer((request, response) => void respond(request, response));

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await handle(request).catch((error: unknown) => {
      if (error instanceof RegistryError) return errorResponse(error, "GET");
      if (error instanceof Response) return error;
      return errorResponse(new RegistryError("UNKNOWN", String(error)), "GET");
    });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(await answer.text());
  }

  async function handle(request: IncomingMessage): Promise<Response> {
    const { method = "", url = "", headers } = request;
    const path = new URL(url, "http://edge");
    const body = await buffer(request);
    const route = parseIngestRoute(method, path);
    const received = {
      kind: route.kind,
      digest: "digest" in route ? route.digest : null,
      headers,
      body,
    };
    await verify(method, path.pathname, route, received);
    await edge.before(received);
    edge.received.push(received);
    const answer = await ingest(route, received);
    for (const each of waiting.filter(({ condition }) => condition(received))) {
      waiting.splice(waiting.indexOf(each), 1);
      each.resolve(received);
    }
    return answer;
  }

  /** What an index may name. */
  const manifests = new Set<Digest>();

  async function verify(
    method: string,
    path: string,
    route: IngestRoute,
    { headers, body }: Received,
  ) {
    const isStreamed = route.kind === "blob" || route.kind === "part";
    const bodyDigest = isStreamed ? undefined : await digestOf(body);
    const signed = { method, path, bodyDigest };
    const authorization = headers.authorization ?? null;
    if (await verifyRequest(SECRET_KEYS, "origin", signed, authorization, NOW_MS)) return;
    throw new RegistryError("UNAUTHORIZED");
  }

  function requireBlobs(digests: readonly Digest[]): void {
    const detail = [...new Set(digests)].filter(
      (digest) => !edge.blobs.has(digest) && !manifests.has(digest),
    );
    if (detail.length > 0) throw new RegistryError("MANIFEST_BLOB_UNKNOWN", "no blobs", { detail });
  }

  async function keepBlob(digest: Digest, bytes: Buffer): Promise<Response> {
    if ((await digestOf(bytes)) !== digest) throw new RegistryError("DIGEST_INVALID");
    edge.blobs.set(digest, bytes);
    return new Response(null, { status: 201 });
  }

  async function ingest(route: IngestRoute, { body }: Received): Promise<Response> {
    switch (route.kind) {
      case "blob":
        return keepBlob(route.digest, body);
      case "uploads":
        parts.clear();
        return Response.json({ uploadId: UPLOAD_ID, partSizeBytes: PART_SIZE_BYTES });
      case "part":
        parts.set(route.partNumber, body);
        return Response.json({ etag: `part ${route.partNumber}` });
      case "complete": {
        const named: { parts: { partNumber: number }[] } = JSON.parse(String(body));
        const bytes = named.parts.map(({ partNumber }) => parts.get(partNumber) ?? Buffer.of());
        return keepBlob(route.digest, Buffer.concat(bytes));
      }
      case "records": {
        const { records } = v.parse(recordsBodySchema, JSON.parse(String(body)));
        const data = records.flatMap(({ packing }) => popularityBlob(packing) ?? []);
        requireBlobs([...records.flatMap(recordLayers).map((layer) => layer.digest), ...data]);
        return new Response(null, { status: 204 });
      }
      case "lookups":
        v.parse(lookupsBodySchema, JSON.parse(String(body)));
        return new Response(null, { status: 204 });
      case "manifest":
        requireBlobs(
          String(body)
            .match(/sha256:[0-9a-f]{64}/g)
            ?.flatMap((text) => parseDigest(text) ?? []) ?? [],
        );
        manifests.add(route.digest);
        return new Response(null, { status: 201 });
      case "pointers":
        edge.pointers.push(v.parse(pointersBodySchema, JSON.parse(String(body))));
        return new Response(null, { status: 204 });
      // No image needs one.
      case "index":
      case "index-objects":
      case "index-patches":
      // Nothing that is backfilled asks for it.
      case "values":
      case "removals":
        throw new RegistryError("UNSUPPORTED");
      default:
        return route satisfies never;
    }
  }

  async function stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  }

  async function start(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(port, "127.0.0.1", resolve);
    await promise;
    port = (server.address() as AddressInfo).port;
  }

  await start();
  onEnd(stop);
  const edge: SmallEdge = {
    ...{ url: `http://127.0.0.1:${port}`, stop, start },
    ...{ received: [], blobs: new Map(), pointers: [] },
    before: () => {},
    next: (condition) => new Promise((resolve) => waiting.push({ condition, resolve })),
  };
  return edge;
}
