// What a registry says of an image that is being made, event by event. It is for showing only: where nothing
// can be had of it, nothing is shown, and what is pulled says how it ended.

import { readEvents } from "../../registry/http/event-stream.ts";
import { pagePath } from "../../registry/http/page-route.ts";
import { type ProgressEvent, parseProgress } from "../../registry/http/progress.ts";
import type { Credentials } from "../smoke/login.ts";
import type { ImageReference } from "../verify/reference.ts";
import { fetchProblem } from "../words/fetch-problem.ts";

export interface Following {
  readonly credentials: Credentials | null;
  readonly signal: AbortSignal;
}

export class NoProgress extends Error {}

/** Ends with the stream; throws NoProgress where there is none, or it breaks. */
export async function* progressOf(
  { registryUrl, name, tag }: ImageReference,
  { credentials, signal }: Following,
): AsyncGenerator<ProgressEvent> {
  const authorization =
    credentials && `Basic ${btoa(`${credentials.user}:${credentials.password}`)}`;
  try {
    const response = await fetch(registryUrl + pagePath.progress(name, tag), {
      headers: authorization === null ? {} : { Authorization: authorization },
      redirect: "error",
      signal,
    });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      throw new NoProgress(`the registry answers ${response.status}`);
    }
    for await (const { event, data } of readEvents(response.body)) {
      const read = parseProgress(event, data);
      if (read !== undefined) yield read;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof NoProgress ? error : new NoProgress(fetchProblem(error));
  }
}
