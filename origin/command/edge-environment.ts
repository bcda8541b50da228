// What the edge's runtime finds in its environment. It inherits that of this process, where an
// operator's secrets are, and takes requests from anyone: what it need not know is forgotten here.

/** What starts programs, and what the runtime, Miniflare and wrangler look for themselves. */
const KEPT: ReadonlySet<string> = new Set([
  ...["PATH", "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"],
  // The last two of a NixOS that starts programs made elsewhere.
  ...["LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH"],
  ...["MINIFLARE_WORKERD_PATH", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  // By which tests see what of the code was entered.
  "NODE_V8_COVERAGE",
]);

/** Once all that the edge itself needs has been read: the Worker gets its secret as a binding. */
export function forgetSecrets(env: Record<string, string | undefined>): void {
  for (const name of Object.keys(env)) {
    if (!KEPT.has(name)) delete env[name];
  }
}
