// Parts of URLs whose percent signs may be escapes, as Nix takes them.

/** As it is where it is no encoding of anything. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
