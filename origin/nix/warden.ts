// Ends what this process has started when it is gone itself, however it went: a process beside it that
// is told of every group, and takes the end of its own input for the end of this one. A killed process
// does nothing any more; Nix left alone would evaluate without a deadline, and build for nobody.

import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";

/**
 * A constant, and a shell's since that is a megabyte where a second Node is fifty. SIGTERM first, at
 * which Nix ends its builders, and again, for Nix may miss one; then whoever is left is killed, since an
 * evaluation that computes takes notice of no SIGTERM.
 */
const WARDEN = `
trap '' HUP INT TERM
groups=
while read -r sign group; do
  kept=
  for each in $groups; do
    [ "$each" = "$group" ] || kept="$kept $each"
  done
  groups=$kept
  [ "$sign" = - ] || groups="$groups $group"
done
for moment in 1 2 3 4; do
  left=
  for each in $groups; do
    kill -s TERM -- "-$each" && left="$left $each"
  done
  groups=$left
  [ -z "$groups" ] && exit
  sleep 1
done
for each in $groups; do kill -s KILL -- "-$each"; done
`;

/** Where every system has one, NixOS and Alpine too, whatever PATH says. */
export const SHELL = "/bin/sh";
/** `sleep` is none of the shell's own. */
const SLEEP_PATH = "/usr/bin:/bin:/run/current-system/sw/bin";

/** Process groups that must not outlive this process. */
const watched = new Set<number>();
let warden: ChildProcess | undefined;

/**
 * What is started and killed together with this process before this is called stays; that is less
 * than a millisecond.
 */
export function watchGroup(group: number): void {
  watched.add(group);
  if (warden === undefined) startWarden();
  else tell(`+ ${group}`);
}

/** Of a group that has ended, so that another of its number is left alone. */
export function unwatchGroup(group: number): void {
  if (watched.delete(group)) tell(`- ${group}`);
}

function tell(line: string): void {
  warden?.stdin?.write(`${line}\n`);
}

function startWarden(): void {
  const child = spawn(SHELL, ["-c", WARDEN], {
    env: { PATH: SLEEP_PATH },
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    // Whoever kills this process's whole group does not kill it too.
    detached: true,
  });
  warden = child;
  // One that is killed is followed by another with the next group.
  const lose = () => {
    if (warden === child) warden = undefined;
  };
  child.on("error", lose);
  child.on("exit", lose);
  child.stdin.on("error", lose);
  // It keeps nobody from ending.
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  for (const group of watched) tell(`+ ${group}`);
}
