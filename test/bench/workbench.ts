// What all parts of the benchmark share: a scratch directory, the package set with its store paths
// realised, and the Go rival.

import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareHost } from "../../origin/command/host.ts";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { parseStoredJson } from "../../origin/storage/stored-json.ts";
import { type PackageRecord, parsePackageRecord } from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { pullManifest, startOrigin } from "./origins.ts";
import { isOnPath, runProgram } from "./processes.ts";

export interface Bench {
  /** Removed at the end. */
  readonly scratch: string;
  /** How often each case is measured. */
  readonly rounds: number;
}

export interface Workbench extends Bench {
  /** What the origin runs in: a package source is named in it. */
  readonly env: Readonly<Record<string, string>>;
  /** The store paths of all packages the benchmark uses, sorted. All are realised. */
  readonly storePaths: readonly StorePath[];
  /** The program of `baseline/`; absent where there is no Go to build it. */
  readonly baseline: string | null;
}

export const SINGLE_PACKAGES = [
  ...["git", "htop", "curl", "wget", "jq", "python3", "perl", "openssl", "openssh", "gnugrep"],
  ...["gnused", "gawk", "findutils", "gnutar", "gnumake", "gzip", "zstd", "xz", "less", "vim"],
  ...["tree", "file", "procps", "rsync", "sqlite", "tmux"],
] as const;

/** 15 packages besides what every image holds. */
export const LARGE_IMAGE =
  "curl/gawk/git/htop/jq/openssh/perl/python3/rsync/sqlite/strace/tcpdump/tmux/vim/wget";
/** 10 packages with the four of the shell and the two of every image. */
export const UNPACKED_IMAGE = "shell/curl/git/htop/python3";

export async function makeScratch(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "nixport-bench-"));
}

export async function removeScratch(scratch: string): Promise<void> {
  // A client that was killed leaves its mounts behind, the innermost last.
  const mounts = (await readFile("/proc/mounts", "utf8"))
    .split("\n")
    .flatMap((line) => line.split(" ")[1] ?? [])
    .filter((place) => place.startsWith(`${scratch}/`));
  for (const place of mounts.reverse()) {
    await runProgram("umount", ["--lazy", place]).catch(() => undefined);
  }
  await rm(scratch, { recursive: true, force: true });
}

export async function openWorkbench(
  scratch: string,
  rounds: number,
  say: (line: string) => void,
): Promise<Workbench> {
  const state = statePathOf(process.env);
  const prepared = await prepareHost(process.env, state, say);
  const env = {
    ...prepared.env,
    // An edge would be given everything, on the measured machine's time.
    NIXPORT_EDGE_URL: "",
    NIX_POPULARITY_URL: process.env.NIX_POPULARITY_URL ?? "",
    NIXPORT_LOG_LEVEL: "warn",
    HOST: "127.0.0.1",
    PORT: "0",
  };
  say("realising the store paths");
  const storePaths = await realise(env, join(scratch, "realise"));
  const baseline = await buildBaseline(scratch);
  if (baseline === null) say("go is not on PATH: no comparison with the Go baseline");
  return { scratch, env, rounds, storePaths, baseline };
}

/** Pulls everything once, from an origin whose storage is not used again. */
async function realise(
  env: Readonly<Record<string, string>>,
  statePath: string,
): Promise<readonly StorePath[]> {
  const origin = await startOrigin(env, statePath);
  try {
    for (const image of [SINGLE_PACKAGES.join("/"), LARGE_IMAGE, UNPACKED_IMAGE]) {
      await pullManifest(origin.url, image, "oci-zstd");
    }
    return storePathsOf(await readRecords(origin.storagePath));
  } finally {
    await origin.stop();
  }
}

/** Every package record of a storage. */
export async function readRecords(storagePath: string): Promise<readonly PackageRecord[]> {
  const records: PackageRecord[] = [];
  const root = join(storagePath, "records");
  for (const packing of await readdir(root)) {
    for (const name of (await readdir(join(root, packing))).sort()) {
      const record = parsePackageRecord(parseStoredJson(await readFile(join(root, packing, name))));
      if (record === undefined) throw new Error(`${name} of ${root} is no package record`);
      records.push(record);
    }
  }
  return records;
}

export function storePathsOf(records: readonly PackageRecord[]): readonly StorePath[] {
  const bundles = records.flatMap((record) => record.bundles);
  return [...new Set(bundles.flatMap(({ storePaths }) => storePaths))].sort();
}

async function buildBaseline(scratch: string): Promise<string | null> {
  if (!isOnPath("go")) return null;
  const program = join(scratch, "baseline");
  const cache = join(scratch, "go-cache");
  await mkdir(cache, { recursive: true });
  await runProgram("go", ["build", "-o", program, "."], {
    cwd: join(import.meta.dirname, "baseline"),
    env: {
      ...process.env,
      CGO_ENABLED: "0",
      GOTOOLCHAIN: "local",
      GOFLAGS: "",
      GOCACHE: cache,
    },
  });
  return program;
}
