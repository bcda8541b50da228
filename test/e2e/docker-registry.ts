// The registry of the distribution project, as a place to push to and as a cache of another registry.

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { DOCKER_REGISTRY } from "../tools.ts";
import { type Daemon, startDaemon } from "./daemon.ts";

export interface DockerRegistry extends Daemon {
  readonly url: string;
}

/** Why it cannot run here, or false. */
export function missingDockerRegistry(): string | false {
  return existsSync(DOCKER_REGISTRY) ? false : "docker-registry is not installed";
}

/** With the URL of another registry it asks that one once, and answers everybody of what it got. */
export async function startDockerRegistry(
  folder: string,
  cacheOf?: string,
): Promise<DockerRegistry> {
  await mkdir(folder, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  const configuration = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: join(folder, "data") } },
    http: { addr: address },
    ...(cacheOf !== undefined && { proxy: { remoteurl: cacheOf } }),
  };
  // JSON is YAML.
  const path = join(folder, "config.yml");
  await writeFile(path, JSON.stringify(configuration));
  const url = `http://${address}`;
  const daemon = await startDaemon({
    program: DOCKER_REGISTRY,
    args: ["serve", path],
    env: { PATH: process.env.PATH ?? "", HOME: folder },
    logPath: join(folder, "log"),
    probe: () => fetch(`${url}/v2/`),
  });
  return { ...daemon, url };
}
