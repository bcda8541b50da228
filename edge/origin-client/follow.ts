// Goes where the origin sends it for a blob: to the bucket that the origin keeps its layers in. Nothing of
// the edge's goes along but a range, and what comes is compared with its digest as what the origin gives.

import { cancelBody } from "../../registry/http/body.ts";

export interface Following {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly originUrl: string;
  /** Why a blob was not had where the origin sent the edge for it. */
  readonly onLost: (why: unknown) => void;
}

export function isRedirect({ status }: Response): boolean {
  return status === 307 || status === 303;
}

/** Undefined where the blob cannot be had there: then the origin streams it. */
export async function follow(
  { fetch, originUrl, onLost }: Following,
  sent: Response,
  range: string | null,
  signal: AbortSignal,
): Promise<Response | undefined> {
  await cancelBody(sent.body);
  const url = whereTo(sent, originUrl);
  if (url === undefined) {
    onLost("the origin named no address that is gone to");
    return undefined;
  }
  const headers = new Headers({ "Accept-Encoding": "identity" });
  if (range !== null) headers.set("Range", range);
  try {
    const there = await fetch(new Request(url, { headers, redirect: "manual", signal }));
    const isCoded = there.headers.has("Content-Encoding");
    if (there.status === (range === null ? 200 : 206) && !isCoded) return there;
    await cancelBody(there.body);
    onLost(`${url.host} answered ${there.status}${isCoded ? ", coded" : ""}`);
  } catch (cause) {
    if (signal.aborted) throw cause;
    onLost(cause);
  }
  return undefined;
}

/** Over TLS, but for an origin that is asked without it: on one machine, or in a network of its own. */
function whereTo({ headers }: Response, originUrl: string): URL | undefined {
  const url = URL.parse(headers.get("Location") ?? "");
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  const isTrusted = url.protocol === "https:" || url.protocol === new URL(originUrl).protocol;
  return isTrusted && /^https?:$/.test(url.protocol) ? url : undefined;
}
