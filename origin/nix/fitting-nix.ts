// A Nix that can read the package set: the machine's own where it is new enough, else the pinned one
// (pinned-nix.ts), which the machine's own fetches from the caches it trusts, checking the signature.
// Nothing is built for it. A root in the state keeps it, so that the next start finds it without a
// network.

import { mkdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { System } from "../../registry/naming/recipe.ts";
import { substitutionFailure } from "./nix-error.ts";
import { createNixLog, type NixLog } from "./nix-log.ts";
import { askNixVersion, type FoundNix, type NixToolOptions } from "./nix-tool.ts";
import { PINNED_NIX, type PinnedNix } from "./pinned-nix.ts";
import type { SpawnResult } from "./spawn.ts";
import { askStoreAccess } from "./store-access.ts";
import { isOlder, OLDEST_NIX } from "./version.ts";

export interface FitOptions extends Pick<NixToolOptions, "onSpawn"> {
  readonly env: Readonly<Record<string, string>>;
  readonly statePath: string;
  /** How far the download is, now and then. */
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
  readonly pinned?: PinnedNix;
}

export type Fit =
  /** `env` has its programs first on PATH. */
  | { readonly kind: "fits"; readonly version: string; readonly env: FitOptions["env"] }
  | { readonly kind: "absent" }
  | { readonly kind: "unusable"; readonly said: string }
  | TooOld;

export interface TooOld {
  readonly kind: "too-old";
  readonly version: string;
  readonly needed: string;
  /** Why there is no newer one. */
  readonly why: string;
  /** Only whoever administers the machine can change it. */
  readonly isManaged: boolean;
}

type UsableNix = Pick<Extract<FoundNix, { kind: "found" }>, "version" | "run">;

/** Some hundred megabytes on a slow line. */
const BRING_DEADLINE_MS = 15 * 60_000;

/** Whether nothing at all can be made with it. */
export function isOfNoUse({ version }: Pick<TooOld, "version">): boolean {
  return isOlder(version, OLDEST_NIX);
}

export async function fitNix(needed: string, options: FitOptions): Promise<Fit> {
  const found = await askNixVersion(options);
  if (found.kind !== "found") return found;
  const { version } = found;
  if (!isOlder(version, needed)) return { kind: "fits", version, env: options.env };
  return await bringNix(found, needed, options);
}

/** The pinned Nix in place of one that is too old. */
export async function bringNix(
  old: UsableNix,
  needed: string,
  options: FitOptions,
): Promise<Extract<Fit, { kind: "fits" | "too-old" }>> {
  const { pinned = PINNED_NIX, statePath } = options;
  const { version } = old;
  const tooOld = (why: string, isManaged = false): TooOld => {
    return { kind: "too-old", version, needed, why, isManaged };
  };
  if (isOlder(pinned.version, needed)) {
    return tooOld(`the newest that this program brings is ${pinned.version}`);
  }
  const path = pinned.paths[hostSystem()];
  const root = join(statePath, "nix", basename(path));
  const kept = await openPinned(path, root, needed, options);
  if (kept.kind === "fits") return kept;

  const access = await askStoreAccess(old, options.signal);
  if (access?.through === "daemon") {
    return tooOld("the store belongs to a daemon, whose Nix counts as well", true);
  }
  await mkdir(join(statePath, "nix"), { recursive: true });
  const failed = await substitute(old, path, root, pinned.version, options);
  if (failed !== undefined) return tooOld(failed);
  const brought = await openPinned(path, root, needed, options);
  return brought.kind === "fits" ? brought : tooOld(brought.why);
}

type Opened = Extract<Fit, { kind: "fits" }> | { readonly kind: "no"; readonly why: string };

/** What the root holds must be there, start, and be what its name says. */
async function openPinned(
  path: string,
  root: string,
  needed: string,
  { env, onSpawn }: FitOptions,
): Promise<Opened> {
  const held = await readlink(root).catch(() => undefined);
  if (held !== path) return { kind: "no", why: "nothing holds it" };
  const newer = { ...env, PATH: `${path}/bin:${env.PATH ?? "/usr/local/bin:/usr/bin:/bin"}` };
  const found = await askNixVersion({ env: newer, ...(onSpawn && { onSpawn }) });
  if (found.kind === "found" && !isOlder(found.version, needed)) {
    return { kind: "fits", version: found.version, env: newer };
  }
  const said = found.kind === "found" ? found.version : found.kind;
  return { kind: "no", why: `${path} does not start as a newer Nix (${said})` };
}

/** Else why not. A store path without a derivation is fetched or nothing, whatever may be built. */
async function substitute(
  old: UsableNix,
  path: string,
  root: string,
  version: string,
  { onProgress, signal }: FitOptions,
): Promise<string | undefined> {
  const log = createNixLog();
  const tell = tenths((text) => onProgress?.(`fetching Nix ${version}: ${text}`));
  const result = await old.run(
    "nix-store",
    [
      ...["--realise", path, "--add-root", root, "--indirect"],
      ...["--log-format", "internal-json"],
      ...["--option", "max-jobs", "0", "--option", "builders", ""],
    ],
    {
      deadlineMs: BRING_DEADLINE_MS,
      ...(signal && { signal }),
      onStderrLine(line) {
        log.read(line);
        tell(log);
      },
    },
  );
  return result.kind === "exited" && result.code === 0 ? undefined : whyNot(result, path, log);
}

/** Says how much is there, once for each tenth. */
function tenths(say: (text: string) => void): (log: NixLog) => void {
  let told = 0;
  return (log) => {
    const { doneBytes, expectedBytes } = log.progress().downloads;
    const tenth = expectedBytes === 0 ? 0 : Math.floor((10 * doneBytes) / expectedBytes);
    if (tenth <= told) return;
    told = tenth;
    const megabytes = (bytes: number) => Math.round(bytes / 1e6);
    say(`${megabytes(doneBytes)} of ${megabytes(expectedBytes)} MB`);
  };
}

function whyNot(result: SpawnResult, path: string, log: NixLog): string {
  if (result.kind === "timed-out") return `${path} was not there in ${result.afterMs / 1000} s`;
  if (result.kind !== "exited") return `nix-store ${result.kind}`;
  return `${path}: ${substitutionFailure(log.messages())}`;
}

function hostSystem(): System {
  return process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
}
