// Bytes of which one was changed, as they were: every other byte is tried at every place, and the digest says
// which was right. So documents of images that nothing tells of any more come back, and without Nix.

/** Some seconds: all changes of 4 kB, those of a single bit of 22 kB. */
const MAX_HASHED_BYTES = 4e9;

/** Undefined where more was changed, or there is too much to try. */
export function mendOneByte(
  damaged: Uint8Array,
  isRight: (bytes: Uint8Array) => boolean,
): Uint8Array | undefined {
  const bytes = Uint8Array.from(damaged);
  let left = MAX_HASHED_BYTES / Math.max(1, bytes.length);
  for (const changes of [SINGLE_BITS, OTHER_CHANGES]) {
    left -= changes.length * bytes.length;
    if (left < 0) return undefined;
    for (const [place, byte] of bytes.entries()) {
      for (const change of changes) {
        bytes[place] = byte ^ change;
        if (isRight(bytes)) return bytes;
      }
      bytes[place] = byte;
    }
  }
  return undefined;
}

/** What memory and disks do by themselves, before what others do. */
const SINGLE_BITS = Array.from({ length: 8 }, (_, bit) => 1 << bit);
const OTHER_CHANGES = Array.from({ length: 255 }, (_, place) => place + 1).filter(
  (change) => !SINGLE_BITS.includes(change),
);
