// Whose misses are counted together.

/**
 * The address of an IPv4 client; of an IPv6 client the network of 64 bits in which all addresses are
 * its own to choose. Both as Cloudflare writes them.
 */
export function clientNetwork(address: string): string {
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
