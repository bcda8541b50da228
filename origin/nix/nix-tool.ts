// Where Nix is, which version it is, and the one way to start one of its programs. How Nix builds
// (sandbox, substituters, jobs) is the host's configuration; nothing here overrides it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type NixSettings, readNixSettings } from "./nix-settings.ts";
import { runProcess, type SpawnOptions, type SpawnResult } from "./spawn.ts";
import { findStoreDatabase } from "./store-database.ts";
import { findStoreDirectory } from "./store-place.ts";
import { parseNixVersion } from "./version.ts";

export type NixProgram = "nix" | "nix-build" | "nix-instantiate" | "nix-store";

export interface NixTool {
  readonly version: string;
  /** The directory of lookup.nix. */
  readonly expressions: string;
  /** Changes with the expressions that say what a name is. */
  readonly expressionsId: string;
  readonly evaluationDeadlineMs: number;
  /** The file that describes the store; whether it can be read shows when it is. */
  readonly database: string | undefined;
  /** Where the files of `/nix/store` really are. */
  readonly storeDirectory: string;
  /** As the host's nix.conf and the environment have them; undefined where Nix does not say. */
  readonly settings: NixSettings | undefined;
  readonly run: NixRunner;
}

export type NixRunner = (
  program: NixProgram,
  args: readonly string[],
  options: Omit<SpawnOptions, "env">,
) => Promise<SpawnResult>;

export interface NixToolOptions {
  /** The environment Nix runs in: PATH, HOME, NIX_CONFIG, NIX_REMOTE, credentials of git. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly evaluationDeadlineMs?: number;
  /** Called with every process started and its end, for the log and for tests that count them. */
  readonly onSpawn?: (
    program: NixProgram,
    args: readonly string[],
    ended: Promise<SpawnResult>,
  ) => void;
}

const EXPRESSIONS = fileURLToPath(new URL("../../nix", import.meta.url));
/** lookup.nix and all that it imports. */
export const LOOKUP_EXPRESSIONS = ["lookup.nix", "load.nix", "source.nix", "whole-image.nix"];
const VERSION_DEADLINE_MS = 10_000;
// Of a set that is in the store, on a machine that is busy.
const DEFAULT_EVALUATION_DEADLINE_MS = 180_000;

/** Undefined when this machine has no Nix; throws a StoreProblem when its store is of no use. */
export async function findNix(options: NixToolOptions): Promise<NixTool | undefined> {
  const found = await askNixVersion(options);
  if (found.kind === "absent") return undefined;
  if (found.kind === "unusable") throw new Error(`nix --version did not answer: ${found.said}`);
  const { version, run } = found;
  const settings = readNixSettings({ run });
  const storeDirectory = await findStoreDirectory(run, settings);
  return {
    version,
    expressions: EXPRESSIONS,
    expressionsId: await hashOf(LOOKUP_EXPRESSIONS),
    evaluationDeadlineMs: options.evaluationDeadlineMs ?? DEFAULT_EVALUATION_DEADLINE_MS,
    database: findStoreDatabase(nixEnvironment(options.env)),
    ...{ storeDirectory, settings: await settings },
    run,
  };
}

export type FoundNix =
  | { readonly kind: "found"; readonly version: string; readonly run: NixRunner }
  | { readonly kind: "absent" }
  /** There is a program of that name; `said` is what came of asking it for its version. */
  | { readonly kind: "unusable"; readonly said: string };

/** Which Nix there is, without a look at its store. */
export async function askNixVersion({ env: outer, onSpawn }: NixToolOptions): Promise<FoundNix> {
  const env = nixEnvironment(outer);
  const run: NixRunner = (program, args, limits) => {
    const ended = runProcess(program, args, { ...limits, env });
    onSpawn?.(program, args, ended);
    return ended;
  };
  const result = await run("nix", ["--version"], { deadlineMs: VERSION_DEADLINE_MS });
  if (result.kind === "not-started") return { kind: "absent" };
  const version = result.kind === "exited" ? parseNixVersion(result.stdout) : undefined;
  if (version === undefined) return { kind: "unusable", said: saidOf(result) };
  return { kind: "found", version, run };
}

function saidOf(result: SpawnResult): string {
  if (result.kind !== "exited") return result.kind;
  const [first = ""] = `${result.stdout}\n${result.stderr}`.trim().split("\n");
  return first === "" ? `exit code ${result.code}` : JSON.stringify(first.slice(0, 200));
}

async function hashOf(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) hash.update(await readFile(join(EXPRESSIONS, file)));
  return hash.digest("hex").slice(0, 16);
}

function nixEnvironment(env: NixToolOptions["env"]): Record<string, string> {
  const kept = withoutOwnVariables(env);
  return { ...kept, PATH: nixPath(kept).join(":"), NO_COLOR: "1" };
}

/**
 * A package set can read the environment of Nix and put it into an error message, and git hands its
 * own on to helpers: no secret of ours may be in either.
 */
export function withoutOwnVariables(env: NixToolOptions["env"]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith("NIXPORT_")) kept[name] = value;
  }
  return kept;
}

/**
 * Where Nix's programs are looked for: on PATH, and then where its own installers put them, which a
 * service manager's PATH rarely has.
 */
export function nixPath({ PATH, HOME }: NixToolOptions["env"]): readonly string[] {
  return [
    ...(PATH ?? "/usr/local/bin:/usr/bin:/bin").split(":"),
    ...(HOME === undefined
      ? []
      : [`${HOME}/.nix-profile/bin`, `${HOME}/.local/state/nix/profile/bin`]),
    ...["/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin"],
  ];
}
