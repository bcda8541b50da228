// The progress of an image: the origin's stream of events, handed on as it comes, for as long as its client
// stays. Only the origin knows what is under way, so nothing of it is kept here.

import { EVENT_STREAM_HEADERS } from "../../registry/http/event-stream.ts";
import type { PageImage } from "../../registry/http/page-route.ts";
import type { Edge } from "../request/edge.ts";

export async function serveProgress(
  edge: Edge,
  request: Request,
  { repository, tag }: PageImage,
): Promise<Response> {
  const headers = EVENT_STREAM_HEADERS;
  if (request.method === "HEAD") return new Response(null, { headers });
  edge.trace.miss();
  await edge.misses.admitPull();
  const stream = await edge.trace.time("origin", () => edge.origin.progress(repository, tag));
  return new Response(stream, { headers });
}
