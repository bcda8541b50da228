// A containerd of the test's own, driven with ctr.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, run, startDaemon } from "./daemon.ts";
import { type Listing, listDirectory } from "./listing.ts";

export interface Containerd extends Daemon {
  /** What a command of ctr prints. */
  command(args: readonly string[]): Promise<string>;
  /** Pulls, lists and forgets an image. Snapshots belong to a namespace: another unpacks anew. */
  unpack(reference: string, namespace: string, how?: readonly string[]): Promise<Listing>;
}

/** What a pull needs not, and what looks for a place outside the test's folder. */
const DISABLED = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"];

export async function startContainerd(folder: string): Promise<Containerd> {
  await mkdir(folder, { recursive: true });
  const socket = join(folder, "containerd.sock");
  const config = join(folder, "config.toml");
  await writeFile(
    config,
    [
      "version = 2",
      `root = ${JSON.stringify(join(folder, "root"))}`,
      `state = ${JSON.stringify(join(folder, "state"))}`,
      `disabled_plugins = ${JSON.stringify(DISABLED)}`,
      "[grpc]",
      `address = ${JSON.stringify(socket)}`,
    ].join("\n"),
  );
  const ctr = (...args: string[]) => run("ctr", ["--address", socket, ...args]);
  const daemon = await startDaemon({
    program: "containerd",
    args: ["--config", config],
    env: { PATH: process.env.PATH ?? "", HOME: folder },
    logPath: join(folder, "log"),
    probe: () => ctr("version"),
  });
  return {
    ...daemon,
    command: (args) => ctr(...args),
    async unpack(reference, namespace, how = ["--plain-http"]) {
      const images = ["--namespace", namespace, "images"];
      await ctr(...images, "pull", ...how, reference);
      const mountPoint = join(folder, `mount-${namespace}`);
      await mkdir(mountPoint, { recursive: true });
      await ctr(...images, "mount", reference, mountPoint);
      const listing = listDirectory(mountPoint);
      await ctr(...images, "unmount", "--rm", mountPoint);
      await ctr(...images, "remove", "--sync", reference);
      return listing;
    },
  };
}
