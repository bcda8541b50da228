// Asks a registry, and waits while it is still making what it is asked for: as its `Retry-After`
// says, and no longer than the caller wants to.

import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { cancelBody, readLimited } from "../../registry/http/body.ts";
import { isStillBuilding } from "../../registry/http/building.ts";
import { parseJson } from "../../registry/http/json.ts";
import { fetchProblem } from "../words/fetch-problem.ts";

export interface RegistryClient {
  /** Small documents, whole. */
  read(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer | string>;
  /** Throws when it is not to be had whole. */
  stream(path: string): AsyncIterable<Uint8Array>;
}

/** Instead of one, why there is none, in the registry's own words. */
export interface Answer {
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export interface RegistryClientOptions {
  /** `http://127.0.0.1:8787`, without a final slash. */
  readonly url: string;
  /** For how long it is asked again. */
  readonly waitMs: number;
  /** What the registry says while it is waited for, in words, each once. */
  readonly onWait: (said: string) => void;
  readonly signal: AbortSignal;
}

/** A registry may hold a request for some minutes before it says that it builds. */
const DEADLINE_MS = 600_000;
/** Popularity data have some 4 MB, a config of 125 layers and 64 packages some 30 kB. */
const MAX_BODY_BYTES = 40 << 20;
const DEFAULT_RETRY_AFTER_SECONDS = 5;
const MAX_RETRY_AFTER_SECONDS = 60;
const MAX_MESSAGE_CHARACTERS = 1000;

const errorSchema = v.object({
  errors: v.array(v.object({ message: v.string(), detail: v.optional(v.unknown()) })),
});

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { url, waitMs, signal: stop } = options;

  async function ask(path: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(DEADLINE_MS)]);
    return fetch(`${url}${path}`, { headers, signal });
  }

  return {
    async read(path, headers = {}) {
      const endMs = performance.now() + waitMs;
      for (let told = ""; ; ) {
        const said = await whatIsSaid(path, () => ask(path, headers));
        if (said.kind === "answer") return said.answer;
        if (said.retryAfterMs === undefined) return said.reason;
        if (performance.now() + said.retryAfterMs > endMs) {
          return `${said.reason}; that is longer than it was waited for`;
        }
        if (told !== said.reason) options.onWait(said.reason);
        told = said.reason;
        await pause(said.retryAfterMs, stop);
      }
    },

    async *stream(path) {
      const response = await ask(path, {});
      if (!response.ok || response.body === null) {
        await cancelBody(response.body);
        throw new Error(`${url}${path} answers ${response.status}`);
      }
      yield* response.body;
    },
  };

  type Said =
    | { readonly kind: "answer"; readonly answer: Answer }
    | {
        readonly kind: "none";
        readonly reason: string;
        /** Undefined where asking again would give the same. */
        readonly retryAfterMs: number | undefined;
      };

  async function whatIsSaid(path: string, ask: () => Promise<Response>): Promise<Said> {
    const none = (reason: string, retryAfterMs?: number): Said => ({
      ...{ kind: "none", reason: `${url}${path} ${reason}` },
      retryAfterMs,
    });
    try {
      const response = await ask();
      const bytes = await readLimited(response.body, MAX_BODY_BYTES);
      if (bytes === undefined) return none(`answers more than ${MAX_BODY_BYTES} bytes`);
      const { status, headers } = response;
      if (response.ok) return { kind: "answer", answer: { headers, bytes } };
      const error = readError(bytes);
      const isPassing = status === 429 || (status === 503 && isStillBuilding(error.detail));
      const reason = `answers ${status}: ${error.message}`;
      return none(reason, isPassing ? retryAfterMs(headers) : undefined);
    } catch (error) {
      stop.throwIfAborted();
      return none(`cannot be reached: ${fetchProblem(error)}`);
    }
  }
}

function readError(bytes: Uint8Array): { readonly message: string; readonly detail?: unknown } {
  const parsed = v.safeParse(errorSchema, parseJson(bytes));
  const errors = parsed.success ? parsed.output.errors : [];
  const text = parsed.success
    ? errors.map(({ message }) => message).join("; ")
    : new TextDecoder().decode(bytes).trim();
  return { message: text.slice(0, MAX_MESSAGE_CHARACTERS), detail: errors[0]?.detail };
}

function retryAfterMs(headers: Headers): number {
  const text = headers.get("Retry-After") ?? "";
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : DEFAULT_RETRY_AFTER_SECONDS;
  return 1000 * Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_SECONDS);
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: stop }).catch(() => stop.throwIfAborted());
}
