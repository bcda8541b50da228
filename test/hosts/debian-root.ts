// The root folder of a machine that this one is not: a Debian of another suite with its own Nix, made
// with mmdebstrap once and kept in the state. Never run in directly: each machine (machine.ts) lays
// a folder of its own over it.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { runProcess } from "../../origin/nix/spawn.ts";

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

/** Why no root can be made here, or false. */
export function missingForRoots(): string | false {
  if (process.getuid?.() !== 0) return "making another machine's root needs root";
  const folders = (process.env.PATH ?? "").split(delimiter);
  const isThere = (program: string) => folders.some((dir) => existsSync(join(dir, program)));
  const missing = ["mmdebstrap", "patchelf", "unshare", "nsenter"].find(
    (program) => !isThere(program),
  );
  return missing === undefined ? false : `${missing} is not installed`;
}

const DEADLINE_MS = 7 * 60_000;
/** Of two processes of tests that want a root, the second waits for the first one's. */
const MAKE_ONCE = `set -e
path=$1; shift
[ -d "$path" ] && exit
rm -rf "$path.part"
"$@" "$path.part" >&2
mv "$path.part" "$path"`;

/** The folder; a minute the first time. Deleting it has it made of the suite's newest packages. */
export async function debianRoot(suite: string): Promise<string> {
  const recipe = createHash("sha256")
    .update(JSON.stringify([PACKAGES, CUSTOMISE]))
    .digest("hex");
  const roots = join(statePathOf(process.env), "roots");
  const path = join(roots, `${suite}-${recipe.slice(0, 12)}`);
  await mkdir(roots, { recursive: true });
  const customise = `sh -c '${CUSTOMISE.replaceAll("'", `'\\''`)}' customise "$1"`;
  const make = [
    ...["mmdebstrap", "--quiet", "--variant=minbase", `--include=${PACKAGES.join(",")}`],
    // A mirror may be behind, and sid's lists expire within a week. Their signature counts.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    ...[`--customize-hook=${customise}`, suite],
  ];
  const args = [`${path}.lock`, "sh", "-c", MAKE_ONCE, "sh", path, ...make];
  const { PATH = "" } = process.env;
  const made = await runProcess("flock", args, { env: { PATH }, deadlineMs: DEADLINE_MS });
  if (made.kind === "exited" && made.code === 0) return path;
  const why = made.kind === "exited" ? made.stderr.slice(-2000) : made.kind;
  throw new Error(`no root of ${suite} could be made: ${why}`);
}
