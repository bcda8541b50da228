// Whose request it is, for the limit on misses here and for a fair share at the origin.

import { networkOf } from "../../registry/http/network.ts";

/** Where Cloudflare says a request comes from; undefined where it says nothing, or nonsense. */
export function clientNetworkOf(headers: Headers): string | undefined {
  const address = headers.get("CF-Connecting-IP") ?? "";
  return /^[0-9a-f.:]{2,45}$/i.test(address) ? networkOf(address) : undefined;
}
