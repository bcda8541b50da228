// Answers who wants to watch an image: a stream of events, or that too many watch already.

import { RegistryError } from "../../registry/http/error.ts";
import { EVENT_STREAM_HEADERS } from "../../registry/http/event-stream.ts";
import type { ClientKey } from "../waiting/demand.ts";
import type { ProgressFeed, WatchedName } from "./feed.ts";

const RETRY_AFTER_SECONDS = 30;

export function answerProgress(
  feed: Pick<ProgressFeed, "watch">,
  method: string,
  name: WatchedName,
  client: ClientKey,
): Response {
  const headers = EVENT_STREAM_HEADERS;
  if (method === "HEAD") return new Response(null, { headers });
  const stream = feed.watch(name, client);
  if (stream !== undefined) return new Response(stream, { headers });
  throw new RegistryError(
    "TOOMANYREQUESTS",
    "too many watch already; images are pulled all the same",
    {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    },
  );
}
