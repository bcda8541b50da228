// A machine of its own, as far as files and processes go: a root folder with a layer of its own over
// it, in private namespaces of mounts and processes, so that all of it ends with the test whatever
// became of that. The network is shared, and with it this machine's loopback.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Ending } from "../origin/fixture.ts";

/** Where the checkout is on the machine, to be read only. */
export const CHECKOUT = "/srv/nixport";
const REPOSITORY = resolve(import.meta.dirname, "../..");
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DEADLINE_MS = 60_000;

export interface Machine {
  /** The machine's files as they are here. */
  readonly files: string;
  /** Runs a shell's script to its end. */
  run(script: string, as?: As): Promise<Ended>;
  /** Runs it until it has printed a line that matches, and from then on until the machine ends. */
  start(script: string, ready: RegExp, as?: As): Promise<Started>;
}

export interface As {
  /** Root without it. */
  readonly user?: string;
  /** All there is besides PATH; HOME is what it says here or nothing. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  /** The line that was waited for, as it matched. */
  readonly match: RegExpExecArray;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Mounts, and then waits for the end of its input, which comes even where this process is killed:
 * it is the first of its processes, and when it ends the kernel ends all others.
 */
const FIRST_PROCESS = `set -e
root=$1 lower=$2 upper=$3 work=$4 checkout=$5 more=$6
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mkdir -p "$root/proc" "$root/dev" "$root${CHECKOUT}"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$checkout" "$root${CHECKOUT}"
mount -o remount,bind,ro "$root${CHECKOUT}"
eval "$more"
exec chroot "$root" /bin/sh -c 'echo ready; read _'
`;

export interface MachineOptions {
  readonly root: string;
  /** What else is mounted, in a shell's words; \`$root\` is the machine's root. */
  readonly mounts?: string;
}

export async function startMachine(onEnd: Ending, options: MachineOptions): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-machine-"));
  const [root, upper, work] = [join(folder, "root"), join(folder, "upper"), join(folder, "work")];
  for (const path of [root, upper, work]) await mkdir(path, { mode: 0o755 });
  const holder: Child = spawn(
    "unshare",
    [
      ...["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"],
      ...["sh", "-c", FIRST_PROCESS, "sh", root, options.root, upper, work, REPOSITORY],
      options.mounts ?? ":",
    ],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  onEnd(async () => {
    if (holder.exitCode === null && holder.signalCode === null) {
      const ended = once(holder, "exit");
      holder.stdin.end();
      await ended;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  await lineOf(holder, /^ready$/);
  const first = await childOf(holder.pid);
  const enter = (script: string, { user = "root", env = {} }: As = {}): Child => {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return spawn(
      "nsenter",
      [
        ...["--target", first, "--mount", "--pid", "--root", "--wdns=/", "--"],
        ...["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"],
        ...["env", "-i", `PATH=${PATH}`, ...variables, "sh", "-c", script],
      ],
      { env: { PATH: `/run/current-system/sw/bin:${PATH}` }, stdio: ["pipe", "pipe", "pipe"] },
    );
  };
  return {
    files: `/proc/${first}/root`,
    async run(script, as) {
      const child = enter(script, as);
      child.stdin.end();
      return await ended(child);
    },
    async start(script, ready, as) {
      const child = enter(script, as);
      const match = await lineOf(child, ready);
      return {
        match,
        async stop() {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const stopped = once(child, "exit");
          // nsenter waits for the program that it became the parent of; the program is in its group.
          const inside = await childOf(child.pid);
          process.kill(Number(inside), "SIGTERM");
          await stopped;
        },
      };
    },
  };
}

/** What runs on after its deadline ends with the machine. */
async function ended(child: Child): Promise<Ended> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the script did not end")), DEADLINE_MS);
  const end = Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
  const [[code], stdout, stderr] = await Promise.race([end, late]).finally(() =>
    clearTimeout(timer),
  );
  return { code: code as number | null, stdout, stderr };
}

/** The first line of standard output that matches; throws with all that was printed where none comes. */
async function lineOf(child: Child, wanted: RegExp): Promise<RegExpExecArray> {
  const printed: string[] = [];
  const { promise, resolve: found, reject } = Promise.withResolvers<RegExpExecArray>();
  const giveUp = () => reject(new Error(`no line ${wanted} came:\n${printed.join("\n")}`));
  const timer = setTimeout(giveUp, DEADLINE_MS);
  createInterface(child.stderr).on("line", (line) => printed.push(line));
  createInterface(child.stdout).on("line", (line) => {
    printed.push(line);
    const match = wanted.exec(line);
    if (match !== null) found(match);
  });
  child.once("error", reject);
  child.once("close", giveUp);
  return promise.finally(() => clearTimeout(timer));
}

/** The only child of a process, by its id on this machine. */
async function childOf(pid: number | undefined): Promise<string> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const [first] = children.trim().split(" ");
  if (first === undefined || first === "") throw new Error(`process ${pid} has no child`);
  return first;
}
