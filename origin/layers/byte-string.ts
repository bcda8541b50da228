// File names as the kernel has them: any bytes, not always UTF-8. They are kept as strings with one
// character for each byte, so that length is bytes, `<` is byte order, and nothing is ever lost.

/** One character (U+0000 to U+00FF) for each byte. Plain ASCII text is its own byte string. */
export type ByteString = string;

export function toByteString(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** For people and JSON: what is not UTF-8 becomes U+FFFD. */
export function readableText(bytes: ByteString): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

const BEYOND_ASCII = /[\u0080-\u00ff]/;

export function isAscii(bytes: ByteString): boolean {
  return !BEYOND_ASCII.test(bytes);
}

/**
 * The argument `node:fs` takes: it encodes strings as UTF-8, so other bytes must go as a buffer.
 */
export function fileArgument(bytes: ByteString): string | Buffer {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1");
}

export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
