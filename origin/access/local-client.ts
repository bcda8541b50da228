// Whether a request is of somebody on this machine, as far as can be told: it came over loopback, to a name
// of loopback, and no proxy says that it passes it on. A name of another's that leads here is a page in a
// browser that should not read what is told.

import { isLoopback } from "../../registry/http/loopback.ts";

const PASSED_ON = ["Forwarded", "Via", "X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP"];

export function isLocalClient(
  { url, headers }: Pick<Request, "url" | "headers">,
  address: string | undefined,
): boolean {
  return (
    isLoopback((address ?? "").replace(/^::ffff:/, "")) &&
    isLoopback(new URL(url).hostname) &&
    !PASSED_ON.some((name) => headers.has(name))
  );
}
