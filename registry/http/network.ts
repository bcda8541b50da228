// Which addresses count as one client: for the edge's limit on misses and for a fair share at the
// origin.

/**
 * The address of an IPv4 client; of an IPv6 client the network of 64 bits in which all addresses are
 * its own to choose. An IPv4 address that is written as one of IPv6, as sockets for both do, is itself.
 */
export function networkOf(address: string): string {
  const inner = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1];
  if (inner !== undefined || !address.includes(":")) return inner ?? address;
  const [left = "", right] = address.split("::");
  const groups = left === "" ? [] : left.split(":");
  // What `::` leaves out is zeros, and begins behind the groups on its left.
  const after = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after]
    .slice(0, 4)
    .join(":");
}
