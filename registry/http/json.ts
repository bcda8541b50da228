// JSON that may be none, of other programs and of disks.

/** Undefined for what is no JSON, which no schema takes for anything. */
export function parseJson(text: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof text === "string" ? text : new TextDecoder().decode(text));
  } catch {
    return undefined;
  }
}
