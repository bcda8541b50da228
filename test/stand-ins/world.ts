// The outside world that the product asks for packages, on this machine: a forge, a binary cache and
// a channel server under the names that it knows. A launcher starts programs where these names lead
// here; everything else on the machine sees the names as they were.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess, type SpawnResult } from "../../origin/nix/spawn.ts";
import type { Ending } from "../origin/fixture.ts";
import { type BinaryCache, CACHE_HOST, startBinaryCache } from "./binary-cache.ts";
import { findBusybox, makeBootstrap } from "./bootstrap.ts";
import { CHANNEL_HOSTS, startChannels } from "./channel.ts";
import { FORGE_HOSTS, type Forge, startForge } from "./forge.ts";
import type { PackageSetOptions } from "./package-set/package-set.ts";
import { createRevisions } from "./revisions.ts";
import { stockShelf } from "./shelf.ts";
import { type Certificates, makeCertificates } from "./tls.ts";
import type { RunningServer, WebServer } from "./web-server.ts";

export interface World {
  /** Before the words of a command: has it find this world where it looks for the real one. */
  readonly launcher: readonly string[];
  /** What the command's environment needs besides: certificates, the cache's key, a place for Nix's own caches. */
  readonly env: Readonly<Record<string, string>>;
  readonly forge: Forge;
  readonly cache: BinaryCache;
  readonly channels: WebServer;
  /** A file in place of /etc/hosts, for whoever runs in a root of its own. */
  readonly hostsFile: string;
  /** Runs a command in this world, with the environment of this process and its own on top. */
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<SpawnResult>;
  close(): Promise<void>;
}

export interface WorldOptions
  extends Partial<Pick<PackageSetOptions, "salt" | "packages" | "minver" | "wording">> {
  /** The systems whose outputs the cache has; this machine's by default. */
  readonly systems?: readonly string[];
  /** The launcher has /nix be a folder of this world, which goes with it. */
  readonly ownStore?: boolean;
}

const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
/** As nixpkgs says since 2024. */
const MINVER = "2.18.0";
const FEW_PACKAGES = 60;
const HOSTS = [...FORGE_HOSTS, CACHE_HOST, ...CHANNEL_HOSTS];
const RUN_DEADLINE_MS = 120_000;

/** Why there can be no world here, for tests that skip themselves; false where there can. */
export function missingWorld(): string | false {
  if (process.getuid?.() !== 0) return "only root may mount and listen at port 443";
  return findBusybox() === undefined ? "no static busybox is installed (busybox-static)" : false;
}

export async function openWorld(onEnd: Ending, options: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-world-"));
  // Users of a daemon read the certificate too.
  await chmod(folder, 0o755);
  const certificates = makeCertificates(folder, HOSTS);
  const bootstrap = makeBootstrap();
  const { salt = folder, packages = FEW_PACKAGES, minver = MINVER, wording = "old" } = options;
  const revisions = createRevisions(folder, { salt, packages, minver, wording, bootstrap });
  const { systems = [SYSTEM], ownStore = false } = options;
  const shelf = stockShelf({ revisions: revisions.all, systems, bootstrap, folder });
  const { forge, cache, channels, addresses } = await startServers({
    forge: (address) => startForge(address, certificates, revisions),
    cache: (address) => startBinaryCache(address, certificates, shelf),
    channels: (address) => startChannels(address, certificates, { revisions, shelf, bootstrap }),
  });

  const hostsFile = join(folder, "hosts");
  writeFileSync(hostsFile, hostsText(addresses));
  const storeFolder = join(folder, "nix");
  if (ownStore) mkdirSync(storeFolder);
  const launcher = launcherOf(hostsFile, ownStore ? storeFolder : "");
  const env = environment(folder, certificates, cache, ownStore);
  let closed = false;
  const world: World = {
    ...{ launcher, env, forge, cache, channels, hostsFile },
    async run(command, more = {}) {
      const [program = "", ...args] = [...launcher, ...command];
      const own = process.env as Record<string, string>;
      return await runProcess(program, args, {
        env: { ...own, ...env, ...more },
        deadlineMs: RUN_DEADLINE_MS,
      });
    },
    async close() {
      if (closed) return;
      closed = true;
      await Promise.all([forge, cache, channels].map((server) => server.close()));
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  onEnd(() => world.close());
  return world;
}

interface Starters<F, C, H> {
  forge(address: string): Promise<F | undefined>;
  cache(address: string): Promise<C | undefined>;
  channels(address: string): Promise<H | undefined>;
}

/** Three addresses beside each other that nobody has; several worlds may be open at once. */
async function startServers<
  F extends RunningServer,
  C extends RunningServer,
  H extends RunningServer,
>(start: Starters<F, C, H>) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const block = `127.77.${1 + ((process.pid + attempt) % 250)}`;
    const addresses = { forge: `${block}.1`, cache: `${block}.2`, channels: `${block}.3` };
    const forge = await start.forge(addresses.forge);
    if (forge === undefined) continue;
    const cache = await start.cache(addresses.cache);
    const channels = await start.channels(addresses.channels);
    if (cache !== undefined && channels !== undefined) return { forge, cache, channels, addresses };
    await Promise.all([forge, cache, channels].map((server) => server?.close()));
  }
  throw new Error("no loopback addresses are free in 127.77.0.0/16");
}

function hostsText(addresses: { forge: string; cache: string; channels: string }): string {
  return [
    readFileSync("/etc/hosts", "utf8").trimEnd(),
    ...FORGE_HOSTS.map((host) => `${addresses.forge} ${host}`),
    `${addresses.cache} ${CACHE_HOST}`,
    ...CHANNEL_HOSTS.map((host) => `${addresses.channels} ${host}`),
    "",
  ].join("\n");
}

/** A mount namespace of the command's own, which ends with it. */
function launcherOf(hostsFile: string, storeFolder: string): readonly string[] {
  const script = [
    'mount --bind "$1" /etc/hosts || exit',
    'if [ -n "$2" ]; then mkdir -p /nix && mount --bind "$2" /nix || exit; fi',
    'shift 2; exec "$@"',
  ].join("\n");
  return [
    ...["unshare", "--mount", "--propagation", "private"],
    ...["sh", "-c", script, "world", hostsFile, storeFolder],
  ];
}

function environment(
  folder: string,
  { authorityFile }: Certificates,
  { publicKey }: BinaryCache,
  ownStore: boolean,
): Record<string, string> {
  return {
    NIX_SSL_CERT_FILE: authorityFile,
    SSL_CERT_FILE: authorityFile,
    NODE_EXTRA_CA_CERTS: authorityFile,
    GIT_SSL_CAINFO: authorityFile,
    CURL_CA_BUNDLE: authorityFile,
    no_proxy: HOSTS.join(","),
    // Nix remembers for an hour what a cache has not: another world has other things.
    XDG_CACHE_HOME: join(folder, "cache"),
    NIX_CONFIG: [
      `trusted-public-keys = ${publicKey}`,
      // The users who build are the machine's: of two stores that both take one, each would end the
      // other's builders.
      ...(ownStore ? ["build-users-group ="] : []),
    ].join("\n"),
  };
}

/** The output of a command in a world, trimmed; throws with what it said where it failed. */
export async function succeed(
  { run }: Pick<World, "run">,
  command: readonly string[],
): Promise<string> {
  const result = await run(command);
  if (result.kind === "exited" && result.code === 0) return result.stdout.trim();
  throw new Error(`${command.join(" ")}: ${JSON.stringify(result, null, 2)}`);
}
