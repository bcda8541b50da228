// How the attributes of a package set are written: in an image name, which has small letters and few
// signs only, and as recipes and labels have them, in the set's own spelling.
//
// What an image name cannot say is escaped: two hyphens and the two hex digits of an ASCII character,
// so that `gtk+` is `gtk--2b`. A name must not begin with a sign: `0` stands before an escape there, so
// that `Foo` is `0--46oo`. A part with an escape in it means the attribute that is written exactly so.

/** Space to tilde; all else that is two hyphens and a letter or digit is itself. */
const ESCAPE = "--([2-6][0-9a-f]|7[0-9a-e])";
const ESCAPES = new RegExp(ESCAPE, "g");
const HAS_ESCAPE = new RegExp(ESCAPE);
const BEGINS_ESCAPED = new RegExp(`^0(?=${ESCAPE})`);

/** Whether a part of a name, or a whole one, is read otherwise than it is written. */
export function isEscaped(part: string): boolean {
  return HAS_ESCAPE.test(part);
}

/** What a part of a name says; nothing is read into one without an escape. */
export function readPart(part: string): string {
  return readEscapes(part.replace(BEGINS_ESCAPED, ""));
}

function readEscapes(part: string): string {
  return part.replace(ESCAPES, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * The one way in which an image name says exactly this attribute; null for one that none can say, which
 * has other characters than the printable ones of ASCII.
 */
export function exactSpelling(attribute: string): string | null {
  if (!/^[ -~]+$/.test(attribute)) return null;
  const written = attribute.replace(/[-_]+|[^a-z0-9]/g, (signs, at: number) =>
    at > 0 && isJoint(signs, attribute.slice(at + signs.length)) ? signs : escaped(signs),
  );
  if (written.startsWith("--")) return `0${written}`;
  return BEGINS_ESCAPED.test(written) ? `0${escaped("0")}${written.slice(1)}` : written;
}

/** Whether signs between letters or digits are what the grammar of image names has there. */
function isJoint(signs: string, rest: string): boolean {
  return (
    /^(?:__?|-+)$/.test(signs) && /^[a-z0-9]/.test(rest) && !isEscaped(signs + rest.slice(0, 2))
  );
}

/**
 * An attribute path as recipes, labels and messages have it: in the set's own letters, with all that
 * would make two paths, or two recipes, look alike escaped.
 */
export function attributeName(path: readonly string[]): string {
  return path
    .map((part) => part.replace(/-(?=-[2-7][0-9a-f])|[^A-Za-z0-9_-]/gu, escaped))
    .join(".");
}

/** The path that `attributeName` has written, where a name can say all of it: else there are two such paths. */
export function attributePath(attribute: string): readonly string[] {
  return attribute.split(".").map(readEscapes);
}

/**
 * Whether a name leads to an attribute path by its letters alone: exactly, in any case, or without the
 * underscore before a digit. So there are few such names of any path, whatever people ask for.
 */
export function isSpellingOf(name: string, attribute: string): boolean {
  const [parts, own] = [name.split("."), attributePath(attribute)];
  return (
    parts.length === own.length && parts.every((part, index) => isMeant(part, own[index] ?? ""))
  );
}

/** Whether a part of a name may mean an attribute, if none is spelled exactly so. */
export function isMeant(part: string, own: string): boolean {
  if (isEscaped(part)) return readPart(part) === own;
  const [asked, lower] = [part.toLowerCase(), own.toLowerCase()];
  return lower === asked || (/^[0-9]/.test(asked) && lower === `_${asked}`);
}

function escaped(signs: string): string {
  return Array.from(
    signs,
    (sign) => `--${sign.codePointAt(0)?.toString(16).padStart(2, "0")}`,
  ).join("");
}
