// At the bottom of every image, in its ground: what programs expect of any Unix and no package brings.
// The same in all images; a package that offers one of these files lies above it and wins.

import type { ArchiveEntry } from "./entries.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
`;

/** Debian's name of the group and that of the others. */
const GROUP = `root:x:0:
nogroup:x:65534:
nobody:x:65534:
`;

/**
 * Without it glibc asks DNS before /etc/hosts, so that names given to the container are not seen.
 */
const NSSWITCH = `passwd: files
group: files
shadow: files
hosts: files dns
networks: files
services: files
protocols: files
`;

export const BASE_ENTRIES: readonly ArchiveEntry[] = [
  { kind: "directory", path: "etc", mode: 0o755 },
  file("etc/group", GROUP),
  file("etc/nsswitch.conf", NSSWITCH),
  file("etc/passwd", PASSWD),
  { kind: "directory", path: "root", mode: 0o700 },
  { kind: "directory", path: "tmp", mode: 0o1777 },
  { kind: "directory", path: "var", mode: 0o755 },
  { kind: "directory", path: "var/tmp", mode: 0o1777 },
];

function file(path: string, text: string): ArchiveEntry {
  return { kind: "file", path, mode: 0o644, content: new TextEncoder().encode(text) };
}
