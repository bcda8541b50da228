// A package set whose builders say that they run, with a child of their own, and end when a test
// lets them: for everything that happens while something is being built.

import { spawnSync } from "node:child_process";
import { chmod, open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type Ending, temporaryDirectory } from "../fixture.ts";
import { SHELL_BUILDER } from "../nix/sandbox-shell.ts";

const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
export const GATED = [
  ...(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"] as const),
];
export type Gated = (typeof GATED)[number];

export interface GatedSet {
  readonly path: string;
  /** The processes of a builder, when it runs. */
  running(name: Gated | "fails"): Promise<readonly number[]>;
  /** How often builders of a package have been started. */
  starts(name: Gated): Promise<number>;
  /** Lets the builder end, the one that runs or the next; that of `fails` by failing, with words of its own. */
  open(name: Gated | "fails"): Promise<void>;
}

function expression(gates: string): string {
  const gated = (name: string) => `${name} = make "${name}" ''
    sleep 1000 & child=$!
    echo $$ $child > ${gates}/${name}.$$.new; mv ${gates}/${name}.$$.new ${gates}/${name}.$$.pids
    read line < ${gates}/${name}.gate
    kill $child
    mkdir -p $out/bin; echo ${name} > $out/bin/${name}
  '';`;
  return `let
    make = name: script: derivation {
      name = "\${name}-1.0"; system = "${SYSTEM}"; builder = ${SHELL_BUILDER}; PATH = "/bin:/usr/bin";
      salt = "${gates}"; args = [ "-c" script ];
    };
    file = path: "mkdir -p $out/etc; echo \${path} > $out/etc/\${path}";
  in {
    cacert = make "nss-cacert" (file "bundle");
    iana-etc = make "iana-etc" (file "protocols");
    sleeper = make "sleeper" "exec sleep 1000";
    fails = make "fails" ''
      echo $$ > ${gates}/fails.$$.new; mv ${gates}/fails.$$.new ${gates}/fails.$$.pids
      read line < ${gates}/fails.gate
      printf "%s\\n" "<script>alert(1)</script>" "event: done" "\u202edesrever"
      exit 3
    '';
    large = make "large" "mkdir $out; head -c 3000000 /dev/zero > $out/zeros";
    ${GATED.map(gated).join("\n")}
  }`;
}

export async function plantGatedSet(onEnd: Ending): Promise<GatedSet> {
  const path = await temporaryDirectory(onEnd);
  // Beside the set, whose hash is its pin.
  const gates = await temporaryDirectory(onEnd);
  // Builders may run as users of their own.
  await chmod(gates, 0o777);
  await writeFile(join(path, "default.nix"), expression(gates));
  for (const name of [...GATED, "fails"])
    spawnSync("mkfifo", ["--mode=666", join(gates, `${name}.gate`)]);
  const pidFiles = async (name: Gated | "fails") =>
    (await readdir(gates)).filter((file) => file.startsWith(`${name}.`) && file.endsWith(".pids"));
  return {
    path,
    async running(name) {
      let pids: number[] = [];
      await until(`a builder of ${name} runs`, async () => {
        for (const file of await pidFiles(name)) {
          const text = await readFile(join(gates, file), "utf8");
          pids = text.trim().split(" ").map(Number);
          if ((await Promise.all(pids.map(isRunning))).every(Boolean)) return true;
        }
        return false;
      });
      return pids;
    },
    starts: async (name) => (await pidFiles(name)).length,
    async open(name) {
      // Read and write, so that opening never waits for the other side.
      const gate = await open(join(gates, `${name}.gate`), "r+");
      onEnd(() => gate.close());
      await gate.write("go\n");
    },
  };
}

const POLL_MS = 10;

/** Resolves when the condition holds; throws when it does not within the limit. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await setTimeout(POLL_MS);
  }
}

export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // A zombie has ended: whoever inherited it has only not asked for its exit code.
  return stat !== "" && !/\) [ZX] /.test(stat);
}

/** The processes with a text in their arguments: a state folder finds the Nix of its origin. */
export async function processesNaming(text: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const args = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (args.includes(text) && pid !== process.pid && (await isRunning(pid))) found.push(pid);
  }
  return found;
}
