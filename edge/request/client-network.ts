// Which clients count as one, for the limit on misses here and for a fair share at the origin.

/** Where Cloudflare says a request comes from; undefined where it says nothing, or nonsense. */
export function clientNetworkOf(headers: Headers): string | undefined {
  const address = headers.get("CF-Connecting-IP") ?? "";
  return /^[0-9a-f.:]{2,45}$/i.test(address) ? networkOf(address) : undefined;
}

/**
 * The address of an IPv4 client; of an IPv6 client the network of 64 bits in which all addresses are
 * its own to choose. Both as Cloudflare writes them.
 */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [left = "", right] = address.split("::");
  const groups = left === "" ? [] : left.split(":");
  // What `::` leaves out is zeros, and begins behind the groups on its left.
  const after = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after]
    .slice(0, 4)
    .join(":");
}
