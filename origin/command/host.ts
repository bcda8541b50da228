// Prepares the machine: Debian packages that are missing, the build users of a fresh Nix, and the
// package source where the environment names none. A machine that has what is needed is not
// touched.

import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { absentText, generateDebianSet } from "../../nix/debian/generate.ts";
import { SOURCE_VARIABLES } from "../configured-source.ts";
import { nixPath } from "../nix/nix-tool.ts";
import { runProcess } from "../nix/spawn.ts";
import type { EnvironmentVariables } from "../variables.ts";

/** A program, and the Debian package that has it. */
export type Tool = readonly [program: string, debianPackage: string];

const NIX_TOOLS: readonly Tool[] = [["nix-store", "nix-bin"]];
/** What the Debian-backed set unpacks and patches with. */
const DEBIAN_SET_TOOLS: readonly Tool[] = [
  ["patchelf", "patchelf"],
  ["dpkg-deb", "dpkg"],
  ["xz", "xz-utils"],
];
/** Where its builders look for them (nix/debian/unpack.sh), whatever PATH is here. */
const DEBIAN_SET_PATH = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const INSTALL_DEADLINE_MS = 15 * 60_000;
const PROBE_DEADLINE_MS = 5000;
const BUILD_USERS = 8;

export class HostProblem extends Error {}

export interface PreparedHost {
  /** The environment for the origin: a package source is named in it. */
  readonly env: Readonly<Record<string, string>>;
}

export type Say = (line: string) => void;

/** Throws HostProblem with what a person must do when the machine cannot be prepared. */
export async function prepareHost(
  env: EnvironmentVariables,
  statePath: string,
  say: Say,
): Promise<PreparedHost> {
  const defined = definedOnly(env);
  await ensureTools(NIX_TOOLS, defined, say);
  await ensureBuildUsers(defined, say);
  if (SOURCE_VARIABLES.some((name) => defined[name])) {
    return { env: defined };
  }
  if (await nixpkgsAnswers()) {
    say("package source: nixpkgs nixos-unstable");
    return { env: { ...defined, NIXERY_CHANNEL: "nixos-unstable" } };
  }
  return { env: { ...defined, ...(await prepareDebianSet(defined, statePath, say)) } };
}

/** Installs the Debian packages of the programs that are in none of the folders. */
export async function ensureTools(
  tools: readonly Tool[],
  env: Readonly<Record<string, string>>,
  say: Say,
  folders: readonly string[] = nixPath(env),
): Promise<void> {
  const isThere = (program: string) => folders.some((dir) => existsSync(join(dir, program)));
  const missing = tools.filter(([program]) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))];
  if (!existsSync("/usr/bin/apt-get")) {
    throw new HostProblem(
      `missing: ${missing.map(([program]) => program).join(", ")}; this machine has no apt-get to install them with`,
    );
  }
  say(`installing ${packages.join(" ")}`);
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  const first = await aptGet(install, env);
  // A fresh image has no package lists, and old lists name files that are gone.
  if (first !== undefined) {
    await aptGet(["update"], env);
    const second = await aptGet(install, env);
    if (second !== undefined) throw new HostProblem(`apt-get could not install them: ${second}`);
  }
}

/** What apt-get said, where it failed. */
async function aptGet(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  return asRoot(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", ...args], {
    ...env,
    DEBIAN_FRONTEND: "noninteractive",
  });
}

async function asRoot(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const [program = "", ...args] = isRoot() ? command : ["sudo", "--non-interactive", ...command];
  const result = await runProcess(program, args, { env, deadlineMs: INSTALL_DEADLINE_MS });
  if (result.kind === "exited") {
    return result.code === 0 ? undefined : result.stderr.trim().split("\n").slice(-5).join("\n");
  }
  return `${program} ${result.kind}`;
}

/**
 * Debian's nix-bin brings no build users, and Nix as root refuses to build without them. Where a
 * daemon or a configuration is, the host's administrator has decided and nothing is changed.
 */
async function ensureBuildUsers(env: Readonly<Record<string, string>>, say: Say): Promise<void> {
  if (existsSync("/etc/nix/nix.conf") || existsSync("/nix/var/nix/daemon-socket")) return;
  if (!isRoot()) {
    if (existsSync("/nix/store")) return;
    const owner = String(process.getuid?.() ?? 0);
    const failed = await asRoot(["install", "--directory", "--owner", owner, "/nix"], env);
    if (failed !== undefined) throw new HostProblem(`/nix cannot be made: ${failed}`);
    return;
  }
  await mkdir("/nix", { recursive: true });
  const groups = await readFile("/etc/group", "utf8");
  if (/^nixbld:/m.test(groups)) return;
  say("adding Nix's build users");
  const failures = [await asRoot(["groupadd", "--system", "nixbld"], env)];
  for (let index = 1; index <= BUILD_USERS; index++) {
    const identity = ["--gid", "nixbld", "--groups", "nixbld", "--home-dir", "/var/empty"];
    const login = ["--no-create-home", "--shell", "/usr/sbin/nologin"];
    const useradd = ["useradd", "--system", ...identity, ...login, `nixbld${index}`];
    failures.push(await asRoot(useradd, env));
  }
  const failed = failures.find((failure) => failure !== undefined);
  if (failed !== undefined) throw new HostProblem(`the build users cannot be added: ${failed}`);
}

async function nixpkgsAnswers(): Promise<boolean> {
  const answers = await Promise.all(
    ["https://cache.nixos.org/nix-cache-info", "https://github.com/NixOS/nixpkgs"].map(
      async (url) => {
        try {
          const signal = AbortSignal.timeout(PROBE_DEADLINE_MS);
          const response = await fetch(url, { method: "HEAD", signal });
          return response.ok;
        } catch {
          // No network, no name, or a proxy's refusal: all mean that it cannot be reached.
          return false;
        }
      },
    ),
  );
  return answers.every((answered) => answered);
}

async function prepareDebianSet(
  env: Readonly<Record<string, string>>,
  statePath: string,
  say: Say,
): Promise<Readonly<Record<string, string>>> {
  await ensureTools(DEBIAN_SET_TOOLS, env, say, DEBIAN_SET_PATH);
  const out = join(statePath, "debian");
  const { locks, absent } = await generateDebianSet({ outDir: out });
  say(
    `package source: ${locks[0]?.roots.length} packages made of Debian's, since nixpkgs cannot be reached`,
  );
  for (const each of absent) say(absentText(each));
  return { NIXERY_PKGS_PATH: out, NIX_CONFIG: debianSetNixConfig(env.NIX_CONFIG) };
}

/**
 * Its builders use the host's dpkg-deb and patchelf, which a sandbox would hide; and where nixpkgs
 * cannot be reached, asking a binary cache would cost each build five seconds of waiting.
 */
export function debianSetNixConfig(before: string | undefined): string {
  const own = ["sandbox = false", "substituters =", "max-jobs = auto"];
  if (!isRoot()) own.push("build-users-group =");
  return [...(before === undefined ? [] : [before]), ...own].join("\n");
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function definedOnly(env: EnvironmentVariables): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
