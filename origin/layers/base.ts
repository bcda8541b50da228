// At the bottom of every image, in its ground: what programs expect of any Unix and no package brings.
// The same in all images; a package that offers one of these files lies above it and wins. docs/images.md
// says of each why it is there.

import { createHash } from "node:crypto";
import { type ArchiveEntry, archiveEntries } from "./entries.ts";

/** As in distroless images, so that a policy which asks for a user other than root knows the number. */
const NONROOT = { uid: 65_532, gid: 65_532 };

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh
`;

/** nogroup is Debian's name of the group, nobody that of the others; Nix as root asks for nixbld. */
const GROUP = `root:x:0:
tty:x:5:
nixbld:x:30000:
nogroup:x:65534:
nobody:x:65534:
nonroot:x:65532:
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

/** Without a version: what is in an image its labels say, and this is the same in all. */
const OS_RELEASE = `NAME="nixport"
ID=nixport
PRETTY_NAME="nixport image of Nix packages"
HOME_URL="https://nixos.org/"
`;

const SHELLS = `/bin/sh
/bin/bash
`;

const PROFILE = `if [ -d /etc/profile.d ]; then
  for file in /etc/profile.d/*.sh; do
    if [ -r "$file" ]; then . "$file"; fi
  done
  unset file
fi
`;

export const BASE_ENTRIES: readonly ArchiveEntry[] = [
  directory("dev"),
  directory("etc"),
  file("etc/group", GROUP),
  file("etc/nsswitch.conf", NSSWITCH),
  file("etc/os-release", OS_RELEASE),
  file("etc/passwd", PASSWD),
  directory("etc/pki"),
  directory("etc/pki/tls"),
  link("etc/pki/tls/cert.pem", "/etc/ssl/certs/ca-bundle.crt"),
  directory("etc/pki/tls/certs"),
  link("etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-bundle.crt"),
  file("etc/profile", PROFILE),
  file("etc/shells", SHELLS),
  directory("etc/ssl"),
  link("etc/ssl/cert.pem", "/etc/ssl/certs/ca-bundle.crt"),
  directory("etc/ssl/certs"),
  link("etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-bundle.crt"),
  directory("home"),
  { kind: "directory", path: "home/nonroot", mode: 0o700, owner: NONROOT },
  directory("mnt"),
  directory("opt"),
  directory("proc"),
  directory("root", 0o700),
  directory("run"),
  directory("run/lock", 0o1777),
  directory("srv"),
  directory("sys"),
  directory("tmp", 0o1777),
  directory("usr"),
  directory("usr/lib"),
  link("usr/lib/os-release", "../../etc/os-release"),
  link("usr/lib/ssl", "/etc/ssl"),
  directory("usr/local"),
  directory("usr/local/bin"),
  directory("usr/share"),
  link("usr/share/terminfo", "/share/terminfo"),
  link("usr/share/zoneinfo", "/share/zoneinfo"),
  directory("var"),
  directory("var/cache"),
  directory("var/empty", 0o555),
  directory("var/lib"),
  link("var/lock", "/run/lock"),
  directory("var/log"),
  link("var/run", "/run"),
  directory("var/tmp", 0o1777),
];

/**
 * Tells one ground from another: part of whatever says how layers are made, since each view has the
 * modes of the ground's directories too.
 */
export const GROUND_ID: string = createHash("sha256")
  .update(archiveEntries(BASE_ENTRIES))
  .digest("hex")
  .slice(0, 12);

function directory(path: string, mode = 0o755): ArchiveEntry {
  return { kind: "directory", path, mode };
}

function file(path: string, text: string): ArchiveEntry {
  return { kind: "file", path, mode: 0o644, content: new TextEncoder().encode(text) };
}

function link(path: string, target: string): ArchiveEntry {
  return { kind: "link", path, target };
}
