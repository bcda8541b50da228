// Container clients as they are measured: each pull into a storage of its own that is empty before
// and removed after, so that nothing is known to the client.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Sample, timeProgram, usedCpuSeconds } from "./measure.ts";
import { endProgram, isOnPath, runProgram, startProgram } from "./processes.ts";

export interface PullClient {
  readonly name: "podman" | "containerd";
  /** Why it cannot run here, or null. */
  readonly missing: string | null;
  /** Pulls and unpacks; `storage` is a directory that does not exist yet. */
  pull(reference: string, storage: string): Promise<Sample>;
}

const START_DEADLINE_MS = 30_000;

export const PULL_CLIENTS: readonly PullClient[] = [
  { name: "podman", missing: missing("podman"), pull: pullWithPodman },
  {
    name: "containerd",
    missing: missing("containerd") ?? missing("ctr"),
    pull: pullWithContainerd,
  },
];

function missing(program: string): string | null {
  if (!isOnPath(program)) return `${program} is not installed`;
  return process.getuid?.() === 0 ? null : `${program} unpacks as root only`;
}

async function pullWithPodman(reference: string, storage: string): Promise<Sample> {
  const places = ["--root", join(storage, "root"), "--runroot", join(storage, "run")];
  const options = [...places, "--storage-driver", "overlay"];
  try {
    const pull = ["pull", "--quiet", "--tls-verify=false", reference];
    return (await timeProgram("podman", [...options, ...pull])).sample;
  } finally {
    // Its storage holds mounts that a plain removal cannot take.
    await runProgram("podman", [...options, "system", "reset", "--force"]);
    await rm(storage, { recursive: true, force: true });
  }
}

async function pullWithContainerd(reference: string, storage: string): Promise<Sample> {
  await mkdir(storage, { recursive: true });
  const socket = join(storage, "socket");
  const config = join(storage, "config.toml");
  await writeFile(
    config,
    `version = 2
root = "${join(storage, "root")}"
state = "${join(storage, "state")}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${socket}"
`,
  );
  const daemon = startProgram("containerd", ["-c", config, "-l", "error"], { stdio: "ignore" });
  try {
    if (daemon.pid === undefined) throw new Error("containerd did not start");
    await waitForDaemon(socket);
    const before = await usedCpuSeconds(daemon.pid);
    const pull = ["-a", socket, "images", "pull", "--plain-http", reference];
    const { sample } = await timeProgram("ctr", pull);
    const daemonSeconds = (await usedCpuSeconds(daemon.pid)) - before;
    return { ...sample, cpuSeconds: sample.cpuSeconds + daemonSeconds };
  } finally {
    await endProgram(daemon);
    await rm(storage, { recursive: true, force: true });
  }
}

async function waitForDaemon(socket: string): Promise<void> {
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      await runProgram("ctr", ["-a", socket, "--connect-timeout", "1s", "version"]);
      return;
    } catch (error) {
      // Not there yet.
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
