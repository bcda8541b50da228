// A blob the edge does not have: from the origin, streamed, verified on its way, never written.

import { cancelBody } from "../../registry/http/body.ts";
import {
  type Asking,
  hasBody,
  planBlob,
  settledBy,
  unverified,
} from "../../registry/http/content.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { requestedRange } from "../../registry/http/ranges.ts";
import { type Digest, digestOf } from "../../registry/naming/digest.ts";
import type { AskedBlob } from "../origin-client/origin.ts";
import type { OriginBlob } from "../origin-client/origin-answer.ts";
import { unusable } from "../origin-client/origin-error.ts";
import { fixedLength, verifiedStream } from "../origin-client/verified-stream.ts";
import type { Edge } from "../request/edge.ts";
import { arrivingBody, joinedBlob } from "./joined-blob.ts";

const CONTENT_RANGE = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/;

export async function serveOriginBlob(
  edge: Edge,
  request: Request,
  blob: AskedBlob,
): Promise<Response> {
  const { digest } = blob;
  edge.trace.miss();
  const isBodyless = request.method === "HEAD" || settledBy(request.headers, digest) !== null;
  if (isBodyless) {
    const answer = await admitted(edge, digest, 0, () => edge.origin.blob("HEAD", blob, null));
    return respond(request, digest, answer);
  }
  // A condition on the range is decided here: the digest is the version.
  const range = requestedRange(request, digest);
  if (range !== null) {
    const offset = "offset" in range ? range.offset : 0;
    const header = request.headers.get("Range");
    const answer = await admitted(edge, digest, offset, () =>
      edge.origin.blob("GET", blob, header),
    );
    return respond(request, digest, answer);
  }
  const ask = () => admitted(edge, digest, 0, () => edge.origin.wholeBlob(blob));
  const answer = await joinedBlob(edge, digest, ask);
  if (!("bytes" in answer)) return respond(request, digest, answer);
  const plan = planBlob(request, { digest, sizeBytes: answer.room.sizeBytes });
  return new Response(arrivingBody(digest, answer, ask), plan);
}

async function admitted(
  edge: Edge,
  digest: Digest,
  offset: number,
  ask: () => Promise<OriginBlob>,
): Promise<OriginBlob> {
  await edge.misses.admitBlob(digest, offset);
  try {
    return await edge.trace.time("origin", ask);
  } catch (error) {
    const isNowhere = error instanceof RegistryError && error.code === "BLOB_UNKNOWN";
    if (isNowhere) await edge.misses.admitPull();
    throw error;
  }
}

async function respond(request: Request, digest: Digest, answer: OriginBlob): Promise<Response> {
  const sizeBytes = totalSize(answer);
  if (sizeBytes === undefined) return refuse(answer, "a blob without its size");
  // The origin may answer a range with the whole, so its status says what the plan is about.
  const plan = planBlob(answer.status === 200 ? withoutRange(request) : request, {
    digest,
    sizeBytes,
  });
  if (plan.status === 304 || plan.status === 412) {
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
  // An answer of no bytes is complete with its headers: nothing of it could be held back.
  if (answer.body === null || (sizeBytes === 0 && digest !== (await digestOf(new Uint8Array())))) {
    return refuse(answer, "no body");
  }
  if (plan.range === null) {
    const { body, wasWrong } = answer;
    const onWrong = (why: string) => wasWrong(new Error(why));
    return new Response(verifiedStream(body, { digest, sizeBytes, onWrong }), plan);
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
