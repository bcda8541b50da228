// What of another program's words a client may read: the one place that takes this host out of
// them. Nix, git and builders name directories and URLs as they please; store paths say enough.

/**
 * Without control characters, credentials in URLs, and directories of this host, of which the last
 * component stays, since it helps to find the place.
 */
export function publicText(text: string): string {
  return plainText(text).replace(PLACES, (...match) => publicPlace(match.at(-1)));
}

/** What a terminal shows as it is: lines, without what moves a cursor or turns writing round. */
export function plainText(text: string): string {
  return text.toWellFormed().replace(TERMINAL_CONTROL, "").replace(/\r\n?/g, "\n");
}

const ESCAPE = String.fromCharCode(27);
/** Whole escape sequences, then what else moves a cursor or turns writing round. */
const TERMINAL_CONTROL = new RegExp(
  [
    `${ESCAPE}\\[[0-?]*[ -/]*[@-~]`,
    `${ESCAPE}\\][^\\u0007${ESCAPE}]*(?:\\u0007|${ESCAPE}\\\\)?`,
    "(?![\\n\\r\\t])\\p{Cc}",
    "[\\u2028-\\u202e\\u2066-\\u2069]",
  ].join("|"),
  "gu",
);

interface Place {
  readonly url?: string;
  readonly path?: string;
}

/** The first that matches wins: what is in a URL or in quotes is not read as a bare path. */
const PLACES = new RegExp(
  [
    /(?<url>\b[A-Za-z][A-Za-z0-9+.-]{0,30}:\/\/[^\s'"\x60‘’«»<>]*)/u,
    // A path with spaces, as only its quotes show.
    /(?<=['"\x60‘«])(?<path>~?\/[^'"\x60‘’«»\n]*)(?=['"\x60’»])/u,
    // Behind a letter or digit a slash divides, unless those are an option such as -I.
    /(?:(?<![\p{L}\p{N}_.…)\]}*/-])|(?<=(?<![^\s'"=])-[A-Za-z]+))(?<path>~?\/[^\s'"\x60‘’«»:,;()<>|=]*)/u,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gu",
);

function publicPlace({ url, path }: Place): string {
  return url === undefined ? publicPath(path ?? "") : publicUrl(url);
}

/** The same on every machine, so they say nothing of this one. */
const EVERYWHERE = /^\/(?:(?:usr\/)?bin\/[^/]+|dev\/[^/]+|build(?:\/.*)?|homeless-shelter)$/s;

function publicPath(path: string): string {
  const isClimbing = /\/\.\.(?:\/|$)/.test(path);
  if (!isClimbing && (path.startsWith("/nix/store/") || EVERYWHERE.test(path))) return path;
  // Of a home nothing stays: its last component is a user.
  if (/^\/(?:root|(?:home|Users)\/[^/]+)\/?$/.test(path)) return "…";
  const last = path.replace(/\/+$/, "").split("/").pop() ?? "";
  return last === "" ? path : `…/${last}`;
}

function publicUrl(url: string): string {
  const file = /^(?:git\+)?file:\/\/([^?]*)/i.exec(url)?.[1];
  if (file !== undefined) return publicPath(file);
  // A user may be a token, and what follows the question mark a signature.
  return withoutCredentials(url).replace(/\?.*$/s, "?…");
}

/**
 * Up to the last @ before the path: who writes a password with one into a URL need not encode it.
 */
export function withoutCredentials(url: string): string {
  return url.replace(/^([^/]*\/\/)[^/?#]*@/, "$1");
}

/** At most so many characters, the last of which says that there were more. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
