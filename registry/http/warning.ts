// The Warning header of an answer that may be outdated: 299 is the code for what stays true (RFC
// 7234, section 5.5), `-` stands for an agent that does not name itself.

const MAX_CHARACTERS = 400;

/** What no header may hold, and what would end the quoted text, is said otherwise. */
export function staleWarning(text: string): string {
  const plain = text
    .replace(/\s+/g, " ")
    .replace(/["\\`‘’“”]/g, "'")
    .replace(/[^\x20-\x7e]/g, "?");
  return `299 - "nixport: ${plain.slice(0, MAX_CHARACTERS)}"`;
}

/** Of an answer at an earlier pin than the one its tag has; `why`, where it is not just to be made. */
export function movedWarning(tag: string, why?: string): string {
  const because = why === undefined ? "" : `: ${why}`;
  return staleWarning(`${tag} has moved on; answered at an earlier revision meanwhile${because}`);
}

export function describeAge(ageMs: number): string {
  // A clock that was set back leaves what is older than nothing.
  const seconds = Math.max(0, Math.round(ageMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(ageMs / 60_000);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
