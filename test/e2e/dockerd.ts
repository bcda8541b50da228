// A Docker engine of the test's own, driven with the docker command.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, run, startDaemon } from "./daemon.ts";
import { type FileEntry, type Listing, listTar } from "./listing.ts";

export interface Dockerd extends Daemon {
  /** For clients that hand an image to the engine. */
  readonly address: string;
  /** What a command of the engine's own prints. */
  command(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** Pulls an image, lists the files of a container made of it, and removes both. */
  unpack(reference: string): Promise<Listing>;
  /** Has the engine take an archive that others have saved, and lists what is in its image. */
  load(archive: string, reference: string): Promise<Listing>;
  /** What a command prints in a container of its own, which has no network. */
  run(reference: string, options: readonly string[], command: readonly string[]): Promise<string>;
  /** Builds an image that is another with a command of its own, with BuildKit. */
  build(reference: string): Promise<void>;
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** That of the engine's package, for an earlier one in PATH may be of another generation. */
const DOCKER = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";

/** The engine's version, major number first: only from 23 on it reads zstd. */
async function dockerdMajor(): Promise<number> {
  const version = await run("dockerd", ["--version"]);
  return Number(/version (\d+)\./.exec(version)?.[1]);
}

/** `settings` are those of its daemon.json. */
export async function startDockerd(
  folder: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<Dockerd> {
  await mkdir(folder, { recursive: true });
  const address = `unix://${join(folder, "docker.sock")}`;
  // A file of its own, so that the host's /etc/docker/daemon.json has no say.
  const config = join(folder, "daemon.json");
  // Older engines write a key to /etc/docker; newer ones have neither the key nor the setting.
  const isOld = (await dockerdMajor()) < 23;
  await writeFile(
    config,
    JSON.stringify({
      ...settings,
      ...(isOld && { "deprecated-key-path": join(folder, "key.json") }),
    }),
  );
  // The command's own configuration may name a context or credential helpers.
  const env = { PATH: process.env.PATH ?? "", HOME: folder, DOCKER_CONFIG: folder };
  const docker = (...args: readonly string[]) => run(DOCKER, ["--host", address, ...args], env);
  const daemon = await startDaemon({
    program: "dockerd",
    args: [
      ...["--config-file", config, "--host", address, "--pidfile", join(folder, "pid")],
      ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      ...["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=overlay2"],
    ],
    env,
    logPath: join(folder, "log"),
    probe: () => docker("version"),
  });
  async function list(reference: string): Promise<Listing> {
    // Never started: an image without a shell gets a command that it does not have.
    const container = (await docker("create", reference, "/none")).trim();
    const exporting = spawn(DOCKER, ["--host", address, "export", container], {
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(exporting, "exit");
    const listing = await listTar(exporting.stdout);
    await ended;
    await docker("rm", container);
    await docker("rmi", reference);
    return withoutContainer(listing);
  }
  return {
    ...daemon,
    address,
    command: (args, { input, env: own } = {}) =>
      run(DOCKER, ["--host", address, ...args], { ...env, ...own }, input),
    async load(archive, reference) {
      await docker("load", "--input", archive);
      return await list(reference);
    },
    async build(reference) {
      const context = join(folder, "context");
      await mkdir(context, { recursive: true });
      await writeFile(join(context, "Dockerfile"), `FROM ${reference}\nCMD ["/none"]\n`);
      const command = ["--host", address, "build", "--no-cache", "--pull", context];
      await run(DOCKER, command, { ...env, DOCKER_BUILDKIT: "1" });
    },
    run: (reference, options, command) =>
      docker("run", "--rm", "--network=none", ...options, reference, ...command),
    async unpack(reference) {
      await docker("pull", "--quiet", reference);
      return await list(reference);
    },
  };
}

/** What the engine puts into every container below its own files, where the image has nothing. */
const CONTAINER_PATHS: readonly string[] = [
  ...[".dockerenv", "dev/console", "dev/pts", "dev/shm"],
  ...["etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"],
];

function withoutContainer(listing: Listing): Listing {
  const image = new Map<string, FileEntry>(listing);
  for (const path of CONTAINER_PATHS) image.delete(path);
  // Putting files into them has changed their times, and an export shows no other.
  for (const path of ["dev", "etc"]) {
    const folder = image.get(path);
    if (folder !== undefined) image.set(path, { ...folder, mtimeSeconds: 1 });
  }
  return image;
}
