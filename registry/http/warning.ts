// The Warning header of an answer that may be outdated: 299 is the code for what stays true (RFC
// 7234, section 5.5), `-` stands for an agent that does not name itself.

/** `text` in plain ASCII without quotes. */
export function staleWarning(text: string): string {
  return `299 - "nixport: ${text}"`;
}

/** Of an answer at an earlier pin than the one its tag has. */
export function movedWarning(tag: string): string {
  return staleWarning(`${tag} has moved on; answered at an earlier revision meanwhile`);
}

export function describeAge(ageMs: number): string {
  const seconds = Math.round(ageMs / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(ageMs / 60_000);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
