// A host of the origin's own that a test makes fail: its store, its state and its daemon's TMPDIR are
// small disks in a private mount namespace, and its Nix daemon is started again whenever it has ended,
// as a service manager does it. The origin is root, but what a file's modes forbid it may not do.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import type { Ending } from "../origin/fixture.ts";
import { until } from "../origin/images/gated-set.ts";
import { SHELL_BUILDER } from "../origin/nix/sandbox-shell.ts";

export interface FailingHost {
  /** A folder of the test's, on the machine's own disk. */
  readonly folder: string;
  readonly launcher: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where a path of the origin's is to be found from outside. */
  place(path: string): Promise<string>;
  /** Takes all that is left of the disk with a folder of the origin's in it; the result gives it back. */
  fill(path: string, butBytes?: number): Promise<() => Promise<void>>;
  /** From now on that folder's disk can only be read; the result has it take all again. */
  keepFromWriting(path: string): Promise<() => Promise<void>>;
  /** As `chmod -R` has it, of a folder of the origin's; the result gives everything back. */
  forbid(path: string, modes: string): Promise<() => Promise<void>>;
  /** Ends the daemon, with what it serves; a new one is there in a moment, unless it is to stay away. */
  killDaemon(): Promise<void>;
  keepDaemonAway(): Promise<() => Promise<void>>;
  /** The processes that the origin has started itself and whose command begins so, NUL between words. */
  childrenOf(command: string): Promise<readonly number[]>;
}

/** Why there can be none here, for tests that skip themselves; false where there can. */
export function missingHost(): string | false {
  if (process.getuid?.() !== 0) return "only root may mount";
  const daemon = (process.env.PATH ?? "").split(":").some((dir) => existsSync(`${dir}/nix-daemon`));
  return daemon ? false : "no nix-daemon is installed";
}

/** `$1` is the folder. Both end with the origin, which this becomes. */
const START = `set -e
mount -t tmpfs -o size=64m,mode=755 tmpfs /nix
mount -t tmpfs -o size=24m tmpfs "$NIXPORT_STATE"
mount -t tmpfs -o size=8m tmpfs "$1/tmp"
setpriv --pdeathsig KILL sh -c '
  while :; do
    if [ ! -e "$1/away" ]; then
      TMPDIR="$1/tmp" NIX_REMOTE= setpriv --pdeathsig KILL nix-daemon >/dev/null 2>&1 &
      echo $! >"$1/daemon.pid"
      wait $!
    fi
    sleep 0.1
  done' supervisor "$1" &
until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.1; done
echo $$ >"$1/origin.pid"
shift
exec setpriv --bounding-set -dac_override,-dac_read_search "$@"`;

export async function openFailingHost(onEnd: Ending): Promise<FailingHost> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-host-"));
  onEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  for (const name of ["tmp", "conf"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "conf/nix.conf"), "");
  const numberIn = (name: string) => processIn(join(folder, name));
  const away = join(folder, "away");

  const place = async (path: string) => `/proc/${await numberIn("origin.pid")}/root${path}`;

  async function killDaemon(): Promise<void> {
    const daemon = await numberIn("daemon.pid");
    // What serves a connection is a child of its own, which the daemon's end would leave.
    for (const pid of [daemon, ...(await childrenOfProcess(daemon))]) kill(pid);
  }

  return {
    ...{ folder, place, killDaemon },
    launcher: [
      ...["unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", START, "host", folder],
    ],
    env: {
      NIX_REMOTE: "daemon",
      NIX_CONF_DIR: join(folder, "conf"),
      // The host's build users would be shared with the daemon of the machine.
      NIX_CONFIG: "build-users-group =\nsandbox = false\nsubstituters =\ndownload-attempts = 1\n",
    },
    async fill(path, butBytes = 0) {
      const folder = await place(path);
      const file = join(folder, "filling");
      const spare = join(folder, "spare");
      await writeFile(spare, new Uint8Array(butBytes));
      const handle = await open(file, "w");
      for (const sizeBytes of [1 << 20, 1 << 12]) {
        const zeros = new Uint8Array(sizeBytes);
        while (await handle.write(zeros).catch(() => undefined)) {}
      }
      await handle.close();
      await rm(spare);
      return () => rm(file);
    },
    async keepFromWriting(path) {
      const pid = await numberIn("origin.pid");
      const inside = (...command: readonly string[]) =>
        run("nsenter", ["--target", `${pid}`, "--mount", ...command]);
      // A disk with a file that is open for writing cannot be made so: it is covered by itself.
      inside("mount", "--bind", path, path);
      inside("mount", "-o", "remount,bind,ro", path);
      // What is being read of it just now is no reason to wait.
      return async () => inside("umount", "--lazy", path);
    },
    async forbid(path, modes) {
      const folder = await place(path);
      run("chmod", ["-R", modes, folder]);
      return async () => run("chmod", ["-R", "u+rwX", folder]);
    },
    async keepDaemonAway() {
      await writeFile(away, "");
      await killDaemon();
      const before = await numberIn("daemon.pid");
      return async () => {
        await rm(away);
        await until("a daemon is started", async () => (await numberIn("daemon.pid")) !== before);
      };
    },
    async childrenOf(command) {
      const children = await childrenOfProcess(await numberIn("origin.pid"));
      const commands = await Promise.all(
        children.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
      );
      return children.filter((_, place) => commands[place]?.startsWith(command));
    },
  };
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}

/**
 * The number of the process that wrote it there. A shell makes the file first: read as a number, an empty
 * one is 0, and whoever kills that kills all tests.
 */
export async function processIn(file: string): Promise<number> {
  let pid = 0;
  await until(`a process is named in ${file}`, async () => {
    pid = Number(await readFile(file, "utf8").catch(() => ""));
    return pid > 0;
  });
  return pid;
}

export function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function childrenOfProcess(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").flatMap((each) => (each === "" ? [] : [Number(each)]));
}

/** A server of one file, which is not there until it is started. */
export async function lateServer(onEnd: Ending, body: string) {
  const port = await freePort();
  let status = 200;
  const server = createServer((_, response) => {
    response.writeHead(status).end(status === 200 ? body : "");
  });
  onEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${port}/file`,
    async start(answering: number) {
      status = answering;
      if (server.listening) return;
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
  };
}

export interface Sources {
  readonly folder: string;
  /** What is fetched, by the attribute that needs it. */
  readonly fetched: Readonly<Record<string, { readonly url: string; readonly sha256: string }>>;
}

/** A package for each fault, of which nothing was built before. */
export function failingHostSet({ folder, fetched }: Sources): string {
  const fetching = Object.entries(fetched).map(
    ([name, { url, sha256 }]) => `${name} = make "${name}-1.0" "cat \${builtins.derivation {
      name = "${name}-source"; system = "builtin"; builder = "builtin:fetchurl"; url = "${url}";
      salt = "${folder}"; executable = false; unpack = false;
      outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "${sha256}"; }} > $out/file";`,
  );
  return `{ system, ... }:
let
  make = name: script: derivation {
    inherit name system; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin"; salt = "${folder}";
    args = [ "-c" "set -e; mkdir $out; \${script}" ];
  };
  plain = name: make "\${name}-1.0" "echo \${name} > $out/\${name}";
in {
  cacert = plain "cacert";
  iana-etc = plain "iana-etc";
  ${["stored", "store-full", "unstorable", "unwritable", "forbidden", "daemonless", "jobless"]
    .map((name) => `${name} = plain "${name}";`)
    .join("\n  ")}
  half-stored = make "half-stored-1.0" "cp ${folder}/noise $out/noise";
  tmp-full = make "tmp-full-1.0" "dd if=/dev/zero of=scratch bs=1M count=1; echo > $out/file";
  # At the first attempt it waits to be killed with the daemon.
  cut-off = make "cut-off-1.0" "if [ ! -e ${folder}/begun ]; then echo $$ > ${folder}/begun; exec sleep 1000; fi; echo > $out/file";
  # Both wait until they are let go.
  held = make "held-1.0" "[ -e ${folder}/free ] || exec sleep 1000; echo > $out/file";
  hunted = make "hunted-1.0" "[ -e ${folder}/spared ] || { echo $$ > ${folder}/hunted; exec sleep 1000; }; echo > $out/file";
  gated = builtins.seq (builtins.readFile (/. + "${folder}/gate")) (plain "gated");
  ${fetching.join("\n  ")}
}`;
}
