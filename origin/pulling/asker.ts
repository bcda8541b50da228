// Who asks: a client by its address, or the edge for one of its own clients. It decides whose turns a
// request counts to, and for how long it is held.

import { CLIENT_HEADER, type SecretKey, verifyRequest } from "../../registry/between/token.ts";
import { clientOf } from "../../registry/http/clients.ts";
import { holdOf } from "../../registry/http/hold.ts";
import { VARIANT_HEADER } from "../../registry/http/negotiation.ts";
import { networkOf } from "../../registry/http/network.ts";
import { preferenceOf } from "../../registry/http/prefer.ts";
import type { ClientKey } from "../waiting/demand.ts";
import type { Hold } from "../waiting/hold-request.ts";

export interface Asker {
  /** It has signed for its request: nothing that it says is anybody's own invention. */
  readonly isKnown: boolean;
  readonly client: ClientKey;
}

export interface Asking {
  readonly secretKeys: readonly SecretKey[];
  readonly now: () => number;
}

/** What the edge asks for itself, such as a refresh behind an answer. */
const EDGE: ClientKey = "the edge";

export async function askerOf(
  { secretKeys, now }: Asking,
  { method, headers }: Request,
  path: string,
  address: string | undefined,
): Promise<Asker> {
  const client = headers.get(CLIENT_HEADER) ?? undefined;
  const authorization = headers.get("Authorization");
  const isKnown =
    authorization !== null &&
    (await verifyRequest(secretKeys, "edge", { method, path, client }, authorization, now()));
  if (isKnown) return { isKnown, client: client ?? EDGE };
  return { isKnown, client: networkOf(address ?? "unknown") };
}

export interface HoldLimits {
  /** What the operator says; null where nothing is said. */
  readonly holdMs: number | null;
  readonly buildDeadlineMs: number;
}

/**
 * The edge asks again for a manifest by itself, and is behind proxies that commonly give up after 60 s.
 * For the headers of a blob it waits 30 s.
 */
const EDGE_HOLD_MS = { manifest: 50_000, blob: 25_000 } as const;
/** For what a pull takes besides its build, as the edge has it: else it was not told why that ended. */
const BESIDES_MS = 60_000;

export function holdFor(
  limits: HoldLimits,
  request: Request,
  asker: Asker,
  what: keyof typeof EDGE_HOLD_MS = "manifest",
): Hold {
  const { headers, signal: connection } = request;
  const { isAsynchronous, waitSeconds = Number.POSITIVE_INFINITY } = preferenceOf(headers);
  const { ms, status } = ownHold(limits, request, asker, EDGE_HOLD_MS[what]);
  const { client } = asker;
  return { ms: Math.min(ms, 1000 * waitSeconds), status, client, connection, isAsynchronous };
}

/** An edge without a secret says no more of itself than what it wants. */
export function isOfEdge({ isKnown }: Asker, { headers }: Pick<Request, "headers">): boolean {
  return isKnown || headers.has(VARIANT_HEADER);
}

function ownHold(
  { holdMs, buildDeadlineMs }: HoldLimits,
  request: Request,
  asker: Asker,
  edgeMs: number,
): Pick<Hold, "ms" | "status"> {
  if (isOfEdge(asker, request)) {
    return { ms: Math.min(holdMs ?? edgeMs, edgeMs), status: 503 };
  }
  const { seconds, status } = holdOf(clientOf(request.headers));
  const limitMs = holdMs ?? buildDeadlineMs + BESIDES_MS;
  return { ms: seconds === null ? limitMs : Math.min(1000 * seconds, limitMs), status };
}
