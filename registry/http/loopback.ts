// Which hosts are this machine's own, whoever says them.

/** As an address or a name, or as a URL has it, without a port. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/.test(host);
}
