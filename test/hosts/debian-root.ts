// The root folder of a machine that this one is not: a Debian of another suite with its own Nix, made
// with mmdebstrap once and kept in the state. Never run in directly: each machine (machine.ts) lays
// a folder of its own over it.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { run } from "../e2e/daemon.ts";

/** The suites that are tried: trixie always, another only when it is named. */
export const SUITES: readonly string[] = process.env.NIXPORT_TEST_SUITES?.split(/[ ,]+/) ?? [
  "trixie",
];

const PACKAGES = ["ca-certificates", "git", "nix-bin", "sudo"];

/** A user of the machine's; the ids are nobody's on this machine. */
export const USER = { name: "ann", id: 31_100 } as const;

/**
 * Nix kills whatever runs under a build user's id when a build ends, across roots: those of this
 * machine must be others. All builds of ours are in one group, whose name is Nix's default.
 */
const CUSTOMISE = `set -e
root=$1
chroot $root groupadd --force --system nixbld
chroot $root groupmod --gid 31000 nixbld
for n in $(seq 1 10); do
  id=$((31000 + n))
  if chroot $root id nixbld$n >/dev/null 2>&1; then chroot $root usermod --uid $id nixbld$n
  else chroot $root useradd --system --uid $id --gid nixbld --groups nixbld --home-dir /var/empty \\
    --no-create-home --shell /usr/sbin/nologin nixbld$n; fi
done
chroot $root groupadd --force --gid 31200 nix-users
chroot $root useradd --create-home --uid ${USER.id} --user-group --shell /bin/bash ${USER.name}
rm -rf $root/nix $root/etc/nix
`;

/** Why no root can be made here, or false: the form `node:test` takes for `skip`. */
export function missingForRoots(): string | false {
  if (process.getuid?.() !== 0) return "making another machine's root needs root";
  const folders = (process.env.PATH ?? "").split(delimiter);
  const isThere = (program: string) => folders.some((dir) => existsSync(join(dir, program)));
  const missing = ["mmdebstrap", "patchelf", "unshare", "nsenter"].find(
    (program) => !isThere(program),
  );
  return missing === undefined ? false : `${missing} is not installed`;
}

/** The folder; a minute the first time. Deleting it has it made of the suite's newest packages. */
export async function debianRoot(suite: string): Promise<string> {
  const recipe = createHash("sha256")
    .update(JSON.stringify([PACKAGES, CUSTOMISE]))
    .digest("hex");
  const path = join(statePathOf(process.env), "roots", `${suite}-${recipe.slice(0, 12)}`);
  if (existsSync(path)) return path;
  const made = `${path}.${process.pid}`;
  await mkdir(made, { recursive: true, mode: 0o755 });
  try {
    await run("mmdebstrap", [
      ...["--quiet", "--variant=minbase", `--include=${PACKAGES.join(",")}`],
      // A mirror may be behind, and sid's lists expire within a week. Their signature counts.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      ...[`--customize-hook=sh -c '${CUSTOMISE.replaceAll("'", `'\\''`)}' customise "$1"`],
      ...[suite, made],
    ]);
    await rename(made, path);
  } catch (error) {
    // Another process of tests was faster.
    if (!existsSync(path)) throw error;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return path;
}
