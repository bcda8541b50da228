// The only parser of the Accept header. Ranges that a client refuses with q=0 count as not named.

const MAX_RANGES = 64;

/** The media ranges a client named, lower-cased, without parameters. An absent header is any type. */
export function parseAccept(header: string | null): ReadonlySet<string> {
  if (header === null || header.trim() === "") return new Set(["*/*"]);
  const named = new Set<string>();
  for (const range of header.split(",").slice(0, MAX_RANGES)) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter));
    if (type !== "" && !refused) named.add(type);
  }
  return named;
}

/** Whether a set of ranges covers a media type, by name or by a wildcard. */
export function accepts(named: ReadonlySet<string>, mediaType: string): boolean {
  const family = `${mediaType.slice(0, mediaType.indexOf("/"))}/*`;
  return named.has(mediaType) || named.has(family) || named.has("*/*");
}
