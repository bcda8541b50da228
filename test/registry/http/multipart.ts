// Reads `multipart/byteranges` by its delimiters, as clients do, and by nothing that its writer knows.

import { assert } from "vitest";

export interface ReadPart {
  readonly type: string | undefined;
  readonly contentRange: string | undefined;
  readonly bytes: Uint8Array;
}

export function readMultipart(contentType: string | null, body: Uint8Array): readonly ReadPart[] {
  const [, boundary] =
    /^multipart\/byteranges; boundary=([\w-]{1,70})$/.exec(contentType ?? "") ?? [];
  assert(boundary, `${contentType}`);
  // One character for each byte.
  const text = Buffer.from(body).toString("latin1");
  const [preamble, ...pieces] = `\r\n${text}`.split(`\r\n--${boundary}`);
  assert(preamble === "", "something before the first part");
  assert(pieces.pop() === "--\r\n", "no end");
  return pieces.map((piece) => {
    assert(piece.startsWith("\r\n"));
    const end = piece.indexOf("\r\n\r\n");
    const lines = piece.slice(2, end).split("\r\n");
    const headers = new Map(lines.map((line) => line.split(": ", 2) as [string, string]));
    return {
      type: headers.get("Content-Type"),
      contentRange: headers.get("Content-Range"),
      bytes: new Uint8Array(Buffer.from(piece.slice(end + 4), "latin1")),
    };
  });
}
