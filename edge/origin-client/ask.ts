// One request to the origin: signed, told whose pull it is for, and given up at its deadline or when
// nobody waits for it any more. What is no answer of the origin is 503.

import { CLIENT_HEADER, type SecretKey, signRequest } from "../../registry/between/token.ts";
import { RegistryError } from "../../registry/http/error.ts";
import { digestOf } from "../../registry/naming/digest.ts";
import { OriginFailure } from "./origin-error.ts";

export interface AskOptions {
  readonly url: string;
  readonly secretKeys: readonly SecretKey[];
  readonly now: () => number;
  readonly fetch: (request: Request) => Promise<Response>;
}

export interface Asked {
  readonly method: "GET" | "HEAD" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The token binds it. */
  readonly body?: string;
  readonly deadlineMs: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
  /** Whom the origin counts the request to; undefined for the edge, and where nobody knows. */
  readonly network?: string | undefined;
}

/** Keeps the deadline until `read` is done with the answer. */
export type Ask = <Result>(
  asked: Asked,
  read: (response: Response, signal: AbortSignal) => Promise<Result>,
) => Promise<Result>;

export function createAsk(options: AskOptions): Ask {
  return async (asked, read) => {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), asked.deadlineMs);
    const signals = asked.signal ? [deadline.signal, asked.signal] : [deadline.signal];
    const signal = AbortSignal.any(signals);
    try {
      return await read(await options.fetch(await signedRequest(options, asked, signal)), signal);
    } catch (cause) {
      if (cause instanceof RegistryError) throw cause;
      if (asked.signal?.aborted) {
        throw new RegistryError("UNAVAILABLE", "nobody waits for it any more", { cause });
      }
      const what = deadline.signal.aborted ? " did not answer in time" : " cannot be reached";
      throw new OriginFailure(what, cause);
    } finally {
      clearTimeout(timer);
    }
  };
}

async function signedRequest(
  options: AskOptions,
  { method, path, headers, body, network }: Asked,
  signal: AbortSignal,
): Promise<Request> {
  const url = new URL(path, options.url);
  const bodyDigest = body && (await digestOf(new TextEncoder().encode(body)));
  const signed = { method, path: url.pathname, bodyDigest, client: network };
  const token =
    options.secretKeys.length > 0 &&
    (await signRequest(options.secretKeys, "edge", signed, options.now()));
  return new Request(url, {
    method,
    headers: {
      ...headers,
      ...(network !== undefined && { [CLIENT_HEADER]: network }),
      ...(token && { Authorization: `Bearer ${token}` }),
      // A coded body would be decoded on the way, and its length and digest would not match.
      "Accept-Encoding": "identity",
    },
    ...(body && { body }),
    redirect: "manual",
    signal,
  });
}
