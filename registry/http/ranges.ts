// The parts of a content that a request asks for (RFC 9110 §14), as it says them and, once the size is
// known, where they are.

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A range as asked for, before the size of the content is known; R2 takes it in this form. */
export type RequestedRange =
  | { readonly offset: number; readonly length?: number }
  | { readonly suffix: number };

/** What of a request says them. */
export type Ranged = Pick<Request, "method" | "headers">;

/** Podman asks for as many at a time. */
const MAX_RANGES = 1024;
const MAX_HEADER_LENGTH = 64 * 1024;

/**
 * Null for the whole. A syntax error, a foreign unit and too many ranges are ignored, as §14.2 allows,
 * and so are ranges under the condition of another version (§13.1.5). Ranges are defined for GET
 * alone: HEAD tells of the whole.
 */
export function requestedRanges(
  { method, headers }: Ranged,
  version: string,
): readonly RequestedRange[] | null {
  const header = headers.get("Range");
  if (header === null || method === "HEAD" || header.length > MAX_HEADER_LENGTH) return null;
  const condition = headers.get("If-Range");
  if (condition !== null && condition !== `"${version}"`) return null;
  const [, list] = /^bytes=(.*)$/i.exec(header) ?? [];
  if (list === undefined) return null;
  const specs = list.split(",", MAX_RANGES + 1);
  if (specs.length > MAX_RANGES) return null;
  const ranges = specs.map(parseRange);
  return ranges.includes(undefined) ? null : ranges.filter((range) => range !== undefined);
}

/** The one range that a request asks for; several count as none. */
export function requestedRange(request: Ranged, version: string): RequestedRange | null {
  const ranges = requestedRanges(request, version);
  return ranges?.length === 1 ? (ranges[0] ?? null) : null;
}

/**
 * Those that the content has, which may be none. Null where it is given as a whole instead: several are
 * answered only as clients that know what they lack ask for them, one behind another and without overlap.
 */
export function resolveRanges(
  ranges: readonly RequestedRange[],
  sizeBytes: number,
): readonly ByteRange[] | null {
  const resolved = ranges.map((range) => resolveRange(range, sizeBytes));
  const satisfied = resolved.filter((range) => range !== undefined);
  let endOfLast = 0;
  for (const { offset, length } of satisfied) {
    if (offset < endOfLast) return null;
    endOfLast = offset + length;
  }
  return satisfied;
}

function parseRange(spec: string): RequestedRange | undefined {
  const match = /^[ \t]*(\d*)-(\d*)[ \t]*$/.exec(spec);
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? undefined : { suffix: place(last) };
  const offset = place(first);
  if (last === "") return { offset };
  return place(last) < offset ? undefined : { offset, length: place(last) - offset + 1 };
}

/**
 * Beyond the end of anything, and exact; some clients mean the end by the largest number they know.
 */
const FAR_BEYOND = 2 ** 52;

function place(digits: string): number {
  return Math.min(Number(digits), FAR_BEYOND);
}

/** Undefined where the content has nothing of it. */
function resolveRange(range: RequestedRange, sizeBytes: number): ByteRange | undefined {
  if ("suffix" in range) {
    const length = Math.min(range.suffix, sizeBytes);
    return length === 0 ? undefined : { offset: sizeBytes - length, length };
  }
  const { offset, length = sizeBytes } = range;
  if (offset >= sizeBytes) return undefined;
  return { offset, length: Math.min(length, sizeBytes - offset) };
}
