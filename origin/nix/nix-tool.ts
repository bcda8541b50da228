// Which Nix there is, its version and its store. How Nix builds (sandbox, substituters, jobs) is the
// host's configuration; nothing here overrides it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fittingMemoryBytes } from "./evaluation-memory.ts";
import { type NixRunner, type NixRunnerOptions, nixEnvironment, nixRunner } from "./nix-runner.ts";
import { type NixSettings, readNixSettings } from "./nix-settings.ts";
import type { SpawnResult } from "./spawn.ts";
import { findStoreDatabase } from "./store-database.ts";
import { findStoreDirectory } from "./store-place.ts";
import { parseNixVersion } from "./version.ts";

export interface NixTool {
  readonly version: string;
  /** The directory of lookup.nix. */
  readonly expressions: string;
  /** Changes with the expressions that say what a name is. */
  readonly expressionsId: string;
  readonly evaluationDeadlineMs: number;
  readonly evaluationMemoryBytes: number;
  /** The file that describes the store; whether it can be read shows when it is. */
  readonly database: string | undefined;
  /** Where the files of `/nix/store` really are. */
  readonly storeDirectory: string;
  /** As the host's nix.conf and the environment have them; undefined where Nix does not say. */
  readonly settings: NixSettings | undefined;
  readonly run: NixRunner;
}

export interface NixToolOptions extends Omit<NixRunnerOptions, "evaluationMemoryBytes"> {
  readonly evaluationDeadlineMs?: number;
  /** Null: as much as fits the machine. */
  readonly evaluationMemoryBytes?: number | null;
}

const EXPRESSIONS = fileURLToPath(new URL("../../nix", import.meta.url));
/** lookup.nix and all that it imports. */
export const LOOKUP_EXPRESSIONS = [
  ...["lookup.nix", "names.nix", "canonical.nix", "load.nix", "source.nix", "whole-image.nix"],
];
const VERSION_DEADLINE_MS = 10_000;
// Of a set that is in the store, on a machine that is busy.
const DEFAULT_EVALUATION_DEADLINE_MS = 180_000;

/** Undefined when this machine has no Nix; throws a StoreProblem when its store is of no use. */
export async function findNix(options: NixToolOptions): Promise<NixTool | undefined> {
  const evaluationMemoryBytes = options.evaluationMemoryBytes ?? fittingMemoryBytes();
  const found = await askNixVersion({ ...options, evaluationMemoryBytes });
  if (found.kind === "absent") return undefined;
  if (found.kind === "unusable") throw new Error(`nix --version did not answer: ${found.said}`);
  const { version, run } = found;
  // One after the other: of two that open a new store at once, one may fail.
  const settings = await readNixSettings({ run });
  const storeDirectory = await findStoreDirectory(run, settings);
  return {
    version,
    expressions: EXPRESSIONS,
    expressionsId: await hashOf(LOOKUP_EXPRESSIONS),
    evaluationDeadlineMs: options.evaluationDeadlineMs ?? DEFAULT_EVALUATION_DEADLINE_MS,
    evaluationMemoryBytes,
    database: findStoreDatabase(nixEnvironment(options.env)),
    ...{ storeDirectory, settings },
    run,
  };
}

export type FoundNix =
  | { readonly kind: "found"; readonly version: string; readonly run: NixRunner }
  | { readonly kind: "absent" }
  /** There is a program of that name; `said` is what came of asking it for its version. */
  | { readonly kind: "unusable"; readonly said: string };

/** Which Nix there is, without a look at its store. */
export async function askNixVersion(options: NixRunnerOptions): Promise<FoundNix> {
  const run = nixRunner(options);
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
