// Every client that tests can have, by what all of them do: log in, and pull an image, of an index for
// the platform that is wanted. What one has pulled it forgets, so that it fetches everything each time.

import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Architecture } from "../../registry/naming/recipe.ts";
import { missingClient, podmanOptions } from "./clients.ts";
import { startContainerd } from "./containerd.ts";
import { run } from "./daemon.ts";
import { startDockerd } from "./dockerd.ts";
import { type GoProgram, goProgram } from "./go-programs.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface PullingClient {
  readonly name: string;
  /** Why it cannot be had here, or false. */
  readonly missing: string | false;
  /** Below a folder of its own. */
  start(folder: string): Promise<StartedClient>;
}

export interface StartedClient {
  readonly version: string;
  login(host: string, credentials: Credentials): Promise<void>;
  /** Without an architecture as it does by itself. */
  pull(reference: string, architecture?: Architecture): Promise<void>;
  stop?(): Promise<void>;
}

const crane = await goProgram("crane");
const oras = await goProgram("oras");
const regctl = await goProgram("regctl");

export const PULLING_CLIENTS: readonly PullingClient[] = [
  { name: "skopeo", missing: missingClient("skopeo"), start: startSkopeo },
  { name: "podman", missing: missingClient("podman", "runc"), start: startPodman },
  { name: "buildah", missing: missingClient("buildah", "runc"), start: startBuildah },
  { name: "Docker's engine", missing: missingClient("dockerd", "docker"), start: startDocker },
  { name: "containerd's ctr", missing: missingClient("containerd", "ctr"), start: startCtr },
  { name: "crane", missing: reasonOf(crane), start: startCrane },
  { name: "oras", missing: reasonOf(oras), start: startOras },
  { name: "regctl", missing: reasonOf(regctl), start: startRegctl },
];

function reasonOf(program: GoProgram): string | false {
  return program.kind === "missing" && program.reason;
}

function pathOf(program: GoProgram): string {
  if (program.kind === "missing") throw new Error(program.reason);
  return program.path;
}

/** The first number of a version in what a program says of itself. */
async function versionOf(program: string, ...args: readonly string[]): Promise<string> {
  const said = await run(program, args);
  return /\d+\.\d+\.\d+[^\s,]*/.exec(said)?.[0] ?? said.trim();
}

const fresh = (folder: string) => mkdtemp(join(folder, "pulled-"));
const platformOf = (architecture: Architecture) => `linux/${architecture}`;
const optional = (...option: readonly (string | undefined)[]) =>
  option.includes(undefined) ? [] : (option as readonly string[]);

/** Where clients of one family note who they are. */
async function authFile(folder: string): Promise<string> {
  const path = join(folder, "auth.json");
  await writeFile(path, "{}");
  return path;
}

/** Of skopeo, podman and buildah alike. */
function loginOf(program: string, auth: string) {
  return async (host: string, { user, password }: Credentials) => {
    const who = ["--username", user, "--password-stdin"];
    const options = ["--tls-verify=false", "--authfile", auth];
    await run(program, ["login", ...options, ...who, host], {}, password);
  };
}

async function startSkopeo(folder: string): Promise<StartedClient> {
  const auth = await authFile(folder);
  return {
    version: await versionOf("skopeo", "--version"),
    login: loginOf("skopeo", auth),
    async pull(reference, architecture) {
      await run("skopeo", [
        ...optional(architecture && "--override-arch", architecture),
        ...["copy", "--src-tls-verify=false", "--authfile", auth],
        ...[`docker://${reference}`, `dir:${await fresh(folder)}`],
      ]);
    },
  };
}

async function startPodman(folder: string): Promise<StartedClient> {
  return startOfImageStore("podman", podmanOptions(folder), await authFile(folder));
}

async function startBuildah(folder: string): Promise<StartedClient> {
  const places = ["--root", join(folder, "root"), "--runroot", join(folder, "run")];
  const options = [...places, "--storage-driver", "vfs"];
  return startOfImageStore("buildah", options, await authFile(folder));
}

async function startOfImageStore(
  program: "podman" | "buildah",
  options: readonly string[],
  auth: string,
): Promise<StartedClient> {
  return {
    version: await versionOf(program, "--version"),
    login: loginOf(program, auth),
    async pull(reference, architecture) {
      const which = optional(architecture && "--arch", architecture);
      const how = ["--tls-verify=false", "--authfile", auth, ...which];
      await run(program, [...options, "pull", ...how, reference]);
      await run(program, [...options, "rmi", "--all", "--force"]);
    },
  };
}

async function startDocker(folder: string): Promise<StartedClient> {
  const dockerd = await startDockerd(folder);
  return {
    version: await versionOf("dockerd", "--version"),
    async login(host, { user, password }) {
      const command = ["login", "--username", user, "--password-stdin", host];
      await dockerd.command(command, { input: password });
    },
    async pull(reference, architecture) {
      const which = optional(
        architecture && "--platform",
        architecture && platformOf(architecture),
      );
      await dockerd.command(["pull", "--quiet", ...which, reference]);
      await dockerd.command(["rmi", "--force", reference]);
    },
    stop: () => dockerd.stop(),
  };
}

async function startCtr(folder: string): Promise<StartedClient> {
  const containerd = await startContainerd(folder);
  let who: readonly string[] = [];
  return {
    version: await versionOf("ctr", "--version"),
    // It keeps nobody's name: each pull says it.
    async login(_, { user, password }) {
      who = ["--user", `${user}:${password}`];
    },
    async pull(reference, architecture) {
      const which = optional(
        architecture && "--platform",
        architecture && platformOf(architecture),
      );
      const how = ["--plain-http", ...who, ...which];
      await containerd.command(["images", "pull", ...how, reference]);
      await containerd.command(["images", "remove", "--sync", reference]);
    },
    stop: () => containerd.stop(),
  };
}

async function startCrane(folder: string): Promise<StartedClient> {
  const env = { DOCKER_CONFIG: folder, HOME: folder };
  return {
    version: await versionOf(pathOf(crane), "version"),
    async login(host, { user, password }) {
      const who = ["--username", user, "--password-stdin"];
      await run(pathOf(crane), ["auth", "login", ...who, host], env, password);
    },
    async pull(reference, architecture) {
      const which = optional(
        architecture && "--platform",
        architecture && platformOf(architecture),
      );
      const archive = join(await fresh(folder), "image.tar");
      await run(pathOf(crane), ["pull", "--insecure", ...which, reference, archive], env);
    },
  };
}

async function startOras(folder: string): Promise<StartedClient> {
  const auth = await authFile(folder);
  return {
    version: await versionOf(pathOf(oras), "version"),
    async login(host, { user, password }) {
      const how = ["--plain-http", "--registry-config", auth];
      const who = ["--username", user, "--password-stdin"];
      await run(pathOf(oras), ["login", ...how, ...who, host], {}, password);
    },
    async pull(reference, architecture) {
      const which = optional(
        architecture && "--platform",
        architecture && platformOf(architecture),
      );
      const from = ["--from-plain-http", "--from-registry-config", auth, ...which, reference];
      const to = ["--to-oci-layout", `${await fresh(folder)}:pulled`];
      await run(pathOf(oras), ["copy", ...from, ...to]);
    },
  };
}

async function startRegctl(folder: string): Promise<StartedClient> {
  const env = { DOCKER_CONFIG: folder, REGCTL_CONFIG: join(folder, "regctl.json"), HOME: folder };
  const plain = (host: string) => ["--host", `reg=${host},tls=disabled`];
  return {
    version: await versionOf(pathOf(regctl), "version"),
    async login(host, { user, password }) {
      const who = ["--user", user, "--pass-stdin"];
      await run(pathOf(regctl), ["registry", "login", ...plain(host), ...who, host], env, password);
    },
    async pull(reference, architecture) {
      const which = optional(
        architecture && "--platform",
        architecture && platformOf(architecture),
      );
      const [host = ""] = reference.split("/");
      const target = `ocidir://${await fresh(folder)}:pulled`;
      await run(
        pathOf(regctl),
        ["image", "copy", ...plain(host), ...which, reference, target],
        env,
      );
    },
  };
}
