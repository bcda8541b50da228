// A blob the edge does not have: from the origin, streamed, verified on its way, never written.

import { cancelBody } from "../../registry/http/body.ts";
import {
  type Asking,
  hasBody,
  planBlob,
  type RequestedRange,
  requestedRange,
  settledBy,
  unverified,
} from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import type { OriginBlob } from "../origin-client/origin.ts";
import { unusable } from "../origin-client/origin-error.ts";
import { fixedLength, verifiedStream } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";

const CONTENT_RANGE = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/;

export async function serveOriginBlob(
  edge: Edge,
  request: Request,
  digest: Digest,
): Promise<Response> {
  edge.trace.miss();
  const settled = settledBy(request.headers, digest);
  const isBodyless = request.method === "HEAD" || settled !== null;
  // A condition on the range is decided here: the digest is the version.
  const requested = requestedRange(request, digest);
  const range = requested === null ? null : request.headers.get("Range");
  const answer = await asked(edge, digest, requested, () =>
    isBodyless ? edge.origin.blob("HEAD", digest, null) : edge.origin.blob("GET", digest, range),
  );
  const sizeBytes = totalSize(answer);
  if (sizeBytes === undefined) return refuse(answer, "a blob without its size");

  // The origin may answer a range with the whole, so its status says what the plan is about.
  const plan = planBlob(answer.status === 200 ? withoutRange(request) : request, {
    digest,
    sizeBytes,
  });
  if (settled !== null) {
    await cancelBody(answer.body);
    return new Response(null, plan);
  }
  if (plan.status !== answer.status || !isPlannedRange(answer, plan.headers)) {
    return refuse(answer, "another range than asked for");
  }
  if (!hasBody(request, plan)) {
    await cancelBody(answer.body);
    return new Response(null, unverified(plan));
  }
  if (answer.body === null) return refuse(answer, "no body");
  if (plan.range === null) {
    return new Response(verifiedStream(answer.body, { digest, sizeBytes }), plan);
  }
  // A part cannot be hashed: its client hashes the whole it puts together.
  return new Response(fixedLength(answer.body, plan.range.length), unverified(plan));
}

async function asked(
  edge: Edge,
  digest: Digest,
  range: RequestedRange | null,
  ask: () => Promise<OriginBlob>,
): Promise<OriginBlob> {
  await edge.misses.admitBlob(digest, range !== null && "offset" in range ? range.offset : 0);
  try {
    return await edge.trace.time("origin", ask);
  } catch (error) {
    const isNowhere = error instanceof RegistryError && error.code === "BLOB_UNKNOWN";
    if (isNowhere) await edge.misses.admitPull();
    throw error;
  }
}

function withoutRange({ method, headers }: Request): Asking {
  const whole = new Headers(headers);
  whole.delete("Range");
  return { method, headers: whole };
}

async function refuse(answer: OriginBlob, what: string): Promise<never> {
  await cancelBody(answer.body);
  throw unusable(what);
}

function totalSize({ status, headers }: OriginBlob): number | undefined {
  const text =
    status === 200
      ? headers.get("Content-Length")
      : CONTENT_RANGE.exec(headers.get("Content-Range") ?? "")?.[3];
  return text && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function isPlannedRange({ headers }: OriginBlob, planned: Headers): boolean {
  return headers.get("Content-Range") === planned.get("Content-Range");
}
