// An event stream (HTML, "Server-sent events"): writing an event, and reading those that come. A line is
// never broken by what an event holds, since JSON has no ends of lines in it.

export const EVENT_STREAM = "text/event-stream";

export interface SentEvent {
  readonly event: string;
  readonly data: string;
}

export interface EventToSend {
  readonly id: number;
  readonly event: string;
  readonly data: unknown;
  /** After which time a browser asks again once the stream has ended. */
  readonly retryMs: number;
}

export function formatEvent({ id, event, data, retryMs }: EventToSend): string {
  return `retry: ${retryMs}\nid: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** What a reader skips: it shows proxies that the stream is alive, and us whether anybody reads. */
export const HEARTBEAT = ":\n\n";

export const EVENT_STREAM_HEADERS = {
  "Content-Type": EVENT_STREAM,
  "Cache-Control": "no-store, no-transform",
  // nginx would gather what comes.
  "X-Accel-Buffering": "no",
} as const;

/** An event of more characters is no event of ours. */
const MAX_EVENT_CHARACTERS = 256 * 1024;

/** Ends with the body; throws where that breaks, or an event has no end. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SentEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARACTERS) throw new Error("an event without an end");
    for (const block of blocks) {
      const read = readBlock(block);
      if (read !== undefined) yield read;
    }
  }
}

/** Undefined of comments alone. */
function readBlock(block: string): SentEvent | undefined {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, name, value = ""] = /^([^:]+)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n") };
}
