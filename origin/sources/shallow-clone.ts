// One commit of a git repository without its history, in a folder that Nix then reads: a fork of
// nixpkgs has 4 GB of history and 50 MB of files. Nix itself asks so since 2.20; here any version does.

import { type FetchProblem, fetchProblem } from "../nix/fetch-problem.ts";
import { gitReason } from "../nix/git-words.ts";
import type { Transfers } from "../nix/nix-log.ts";
import type { SpawnResult } from "../nix/spawn.ts";
import { GIT_MISSING, isMissing, runGit } from "./git-process.ts";

export type Clone =
  | { readonly kind: "cloned" }
  /** The server gives whole histories only. */
  | { readonly kind: "refused" }
  | FetchProblem
  | { readonly kind: "stopped" };

export interface CloneOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
  /** How an error calls it. */
  readonly from: string;
  readonly commit: string;
  /** Empty, and the caller's to remove. */
  readonly folder: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly onTransfer: (transfers: Transfers) => void;
}

/**
 * Servers of git's protocol before version 2 (2018) that do not set `uploadpack.allowReachableSHA1InWant`
 * give the tips of refs only, and those that are no program but files over HTTP know no depth.
 */
const REFUSED =
  /does not allow request for unadvertised object|couldn't find remote ref [0-9a-f]{40}|does not support shallow/i;

export async function cloneShallow(options: CloneOptions): Promise<Clone> {
  const { url, from, commit, folder } = options;
  const inFolder = ["-C", folder];
  // Not bare: Nix up to 2.19 copies a bare repository, and takes no shallow one that way.
  const made = await git(options, ["init", "--quiet", "--template=", "--", folder]);
  if (made.kind !== "exited" || made.code !== 0) return problemOf(made, from);
  const fetch = ["fetch", "--progress", "--no-tags", "--depth", "1", "--", url, commit];
  const fetched = await git(options, [...inFolder, ...fetch]);
  if (fetched.kind !== "exited" || fetched.code !== 0) return problemOf(fetched, from);
  const named = await git(options, [...inFolder, "update-ref", "HEAD", commit]);
  return named.kind === "exited" && named.code === 0 ? { kind: "cloned" } : problemOf(named, from);
}

function git(
  { env, deadlineMs, signal, onTransfer }: CloneOptions,
  args: readonly string[],
): Promise<SpawnResult> {
  const onStderrLine = (line: string) => {
    const transfers = readProgress(line);
    if (transfers !== undefined) onTransfer(transfers);
  };
  return runGit(env, args, { deadlineMs, signal, onStderrLine });
}

function problemOf(result: SpawnResult, from: string): Clone {
  switch (result.kind) {
    case "exited": {
      if (REFUSED.test(result.stderr)) return { kind: "refused" };
      const { kind } = fetchProblem(result.stderr, from);
      return { kind, message: `${from}: ${gitReason(result.stderr)}` };
    }
    case "timed-out":
    case "cancelled":
      return { kind: "stopped" };
    case "not-started":
      return {
        kind: "unreachable",
        message: isMissing(result) ? GIT_MISSING : "git did not start",
      };
    case "signalled":
    case "too-much-output":
      return { kind: "unreachable", message: `${from}: git ended early` };
    default:
      return result satisfies never;
  }
}

const PROGRESS = /^Receiving objects: +(\d+)% \([^)]*\), ([\d.]+) (bytes|KiB|MiB|GiB)\b/;
const UNITS = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** Git counts objects, and says how many bytes it has; what is to come is estimated from both. */
export function readProgress(line: string): Transfers | undefined {
  const [, percent = "", amount = "", unit = ""] = PROGRESS.exec(line) ?? [];
  if (!(unit in UNITS)) return undefined;
  const doneBytes = Math.round(Number(amount) * UNITS[unit as keyof typeof UNITS]);
  const share = Number(percent) / 100;
  return { doneBytes, expectedBytes: share > 0 ? Math.round(doneBytes / share) : 0 };
}
