// What of its own environment the origin hands on to Nix and git: what those read themselves, by name. A
// package set can read the environment of its evaluation and put it into an error message, git hands its
// own on to helpers, and whatever else a service's environment holds may be a secret, or change what a
// set says without changing its pin.

type Environment = Readonly<Record<string, string | undefined>>;

const SYSTEM = [
  ...["HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "TZ", "TZDIR", "LD_LIBRARY_PATH"],
  ...["LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LOCALE_ARCHIVE"],
  ...["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_STATE_HOME"],
];
const NETWORK = [
  ...["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "SOCKS_SERVER"],
  ...["NIX_SSL_CERT_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"],
];
const NIX = [
  ...["NIX_CONFIG", "NIX_CONF_DIR", "NIX_USER_CONF_FILES", "NIX_PATH", "NIX_REMOTE", "NIX_SSHOPTS"],
  ...["NIX_STORE", "NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOCALSTATE_DIR", "NIX_LOG_DIR"],
  ...["NIX_DATA_DIR", "NIX_BIN_DIR", "NIX_LIBEXEC_DIR", "NIX_DAEMON_SOCKET_PATH"],
  // Of nixpkgs' fetchers, where Nix builds by itself.
  ...["NIX_CURL_FLAGS", "NIX_CONNECT_TIMEOUT", "NIX_HASHED_MIRRORS", "NIX_NPM_REGISTRY", "GOPROXY"],
  // How the bench counts what an evaluation takes.
  ...["NIX_SHOW_STATS", "NIX_SHOW_STATS_PATH"],
];
const GIT = [
  ...["GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_ALLOW_PROTOCOL"],
  ...["GIT_ASKPASS", "SSH_ASKPASS", "SSH_AUTH_SOCK", "KRB5CCNAME"],
  ...["GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"],
  ...["GIT_HTTP_PROXY_AUTHMETHOD", "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME"],
  ...["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT"],
  ...["GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH"],
];
/** `GIT_CONFIG_KEY_0` and its like. */
const NUMBERED = /^GIT_CONFIG_(?:KEY|VALUE)_\d+$/;
/** Credentials of caches in S3. */
const OF_CACHES = /^AWS_[A-Z_]+$/;

export const ALLOWED_VARIABLES: ReadonlySet<string> = new Set([
  ...[...SYSTEM, ...NETWORK, ...NIX],
  ...GIT,
]);

/** For git and whatever evaluates. */
export function allowedVariables(env: Environment): Record<string, string> {
  return only(env, (name) => ALLOWED_VARIABLES.has(name) || NUMBERED.test(name));
}

/** Besides those, for Nix where it fetches from caches and no set's code runs. */
export function cacheCredentials(env: Environment): Record<string, string> {
  return only(env, (name) => OF_CACHES.test(name));
}

function only(env: Environment, isWanted: (name: string) => boolean): Record<string, string> {
  const wanted: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && isWanted(name)) wanted[name] = value;
  }
  return wanted;
}
