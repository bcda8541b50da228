// Stands in for channels.nixos.org and where it redirects to, releases.nixos.org: which revision a
// channel is, and the store paths of it; and for tarballs.nixos.org, which has the bootstrap tools.

import { execFileSync } from "node:child_process";
import { BOOTSTRAP_PATH, type Bootstrap } from "./bootstrap.ts";
import { BRANCHES, type Revisions } from "./revisions.ts";
import type { Shelf } from "./shelf.ts";
import type { Certificates } from "./tls.ts";
import { type Asked, type Reply, type RunningServer, startWebServer } from "./web-server.ts";

export const CHANNEL_HOSTS = [
  "channels.nixos.org",
  "releases.nixos.org",
  "tarballs.nixos.org",
] as const;

const CHANNELS: readonly string[] = [BRANCHES.stable, BRANCHES.unstable];

export async function startChannels(
  address: string,
  certificates: Certificates,
  { revisions, shelf, bootstrap }: { revisions: Revisions; shelf: Shelf; bootstrap: Bootstrap },
): Promise<RunningServer | undefined> {
  async function answer({ path, host }: Asked): Promise<Reply> {
    if (path === BOOTSTRAP_PATH) return { status: 200, body: bootstrap.nar, ranges: true };
    const [, channel = "", file = ""] =
      /^\/(?:nixos\/)?([^/]+)(?:\/[^/]+)??(?:\/([^/]+))?$/.exec(path) ?? [];
    if (!CHANNELS.includes(channel)) return { status: 404, body: "404\n" };
    const commit = revisions.commitOf(channel);
    if (host === "channels.nixos.org") {
      const Location = `https://releases.nixos.org/nixos/${channel}/${commit.slice(0, 12)}/${file}`;
      return { status: 302, headers: { Location } };
    }
    switch (file) {
      case "git-revision":
        return { status: 200, body: commit };
      case "binary-cache-url":
        return { status: 200, body: "https://cache.nixos.org" };
      case "store-paths.xz": {
        const paths = (await shelf.items()).map(({ path: each }) => each);
        return { status: 200, body: execFileSync("xz", { input: `${paths.join("\n")}\n` }) };
      }
      default:
        return { status: 404, body: "404\n" };
    }
  }
  return await startWebServer(address, certificates, { answer });
}
