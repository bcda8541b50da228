// A blob the edge does not have: from the origin, streamed, verified on its way, never written.

import { cancelBody } from "../../registry/http/body.ts";
import {
  type Asking,
  hasBody,
  planBlob,
  requestedRange,
  settledBy,
  unverified,
} from "../../registry/http/content.ts";
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
  await edge.admitMiss();
  const settled = settledBy(request.headers, digest);
  const isBodyless = request.method === "HEAD" || settled !== null;
  // A condition on the range is decided here: the digest is the version.
  const isRange = requestedRange(request, digest) !== null;
  const range = isRange ? request.headers.get("Range") : null;
  const answer = await edge.trace.time("origin", () =>
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
