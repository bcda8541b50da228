// The programs that tests use, and the Debian packages that bring them; Nix and the Debian-backed set
// as `npm start` prepares them.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Say } from "../origin/command/as-root.ts";
import { prepareHost } from "../origin/command/host.ts";
import { ensureTools, type Tool } from "../origin/command/host-packages.ts";
import { HostProblem } from "../origin/command/host-problem.ts";
import { statePathOf } from "../origin/command/local-environment.ts";

/** What only tests use: the clients that pull, and what lets them unpack and run as root. */
const TEST_TOOLS: readonly Tool[] = [
  ["skopeo", "skopeo"],
  ["podman", "podman"],
  ["runc", "runc"],
  ["umoci", "umoci"],
  ["buildah", "buildah"],
  ["bwrap", "bubblewrap"],
  ["zstd", "zstd"],
  ["containerd", "containerd"],
  ["ctr", "containerd"],
  ["dockerd", "docker.io"],
  ["git", "git"],
  // What the stand-ins of the outside world need (test/stand-ins): certificates, and a shell that
  // runs in a sandbox.
  ["openssl", "openssl"],
  ["busybox", "busybox-static"],
  ["script", "bsdutils"],
  // A minimal Debian has neither.
  ["mount", "mount"],
  ["umount", "mount"],
  // Makes the roots of other machines, which test/hosts runs in.
  ["mmdebstrap", "mmdebstrap"],
  ["patchelf", "patchelf"],
  // Programs that Nix did not build.
  ["gcc", "gcc"],
  ["g++", "g++"],
  // The browser that reads the pages.
  ["chromium", "chromium"],
];
/** Up to bookworm docker.io has them. */
const DOCKER_TOOLS: readonly Tool[] = [
  ["docker", "docker-cli"],
  ["docker-buildx", "docker-buildx"],
];
const DOCKER_PLUGINS = "/usr/libexec/docker/cli-plugins";

const DOWNLOAD_DEADLINE_MS = 120_000;
const TOOLS_FOLDER = resolve(statePathOf(process.env), "tools");
/** The package's own, where it is installed, else the program alone that tests have taken out of it. */
export const DOCKER_REGISTRY = placeOf("usr/bin/docker-registry");
export const NGINX = placeOf("usr/sbin/nginx");

function placeOf(program: string): string {
  return [join("/", program)].find(existsSync) ?? join(TOOLS_FOLDER, program);
}

/** Says which could not be installed; the tests that need them skip themselves. */
export async function installTools(say: Say): Promise<void> {
  const env = process.env as Record<string, string>;
  const path = (env.PATH ?? "").split(":");
  const isThere = (program: string) => path.some((folder) => existsSync(join(folder, program)));
  try {
    // Also generates the Debian-backed set, whose builders' tools come with it.
    await prepareHost(process.env, statePathOf(process.env), say);
    await ensureTools(TEST_TOOLS, env, say);
    if (!existsSync(DOCKER_REGISTRY)) await extractTool("docker-registry", say);
    if (!existsSync(NGINX)) await extractTool("nginx", say);
    if (!isThere("docker")) await ensureTools(DOCKER_TOOLS, env, say, [...path, DOCKER_PLUGINS]);
  } catch (error) {
    if (!(error instanceof HostProblem)) throw error;
    say(error.message);
    const names = ["nix-store", ...TEST_TOOLS.map(([program]) => program), "docker"];
    say(`missing: ${names.filter((program) => !isThere(program)).join(", ")}`);
  }
}

/** Of a package whose service would listen to everybody from then on: nothing of it is installed. */
async function extractTool(debianPackage: string, say: Say): Promise<void> {
  if (!existsSync("/usr/bin/apt-get")) return;
  say(`taking ${debianPackage} out of its package`);
  const folder = join(TOOLS_FOLDER, "packages");
  await mkdir(folder, { recursive: true });
  const script = 'cd "$1" && apt-get -qq download "$2" && dpkg-deb --extract "$2"_*.deb ..';
  const { error, status, stderr } = spawnSync("sh", ["-c", script, "sh", folder, debianPackage], {
    encoding: "utf8",
    timeout: DOWNLOAD_DEADLINE_MS,
  });
  if (error === undefined && status === 0) return;
  say(`${debianPackage} could not be had: ${error?.message ?? stderr.trim().split("\n").at(-1)}`);
}
