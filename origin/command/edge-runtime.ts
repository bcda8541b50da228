// Whether the edge's runtime starts on this machine: workerd is made for glibc where most systems have
// it. The origin does without it, and is a registry by itself.

import { createRequire } from "node:module";
import type { EnvironmentVariables } from "../configuration/variables.ts";
import { runProcess, type SpawnResult } from "../nix/spawn.ts";

const PROBE_DEADLINE_MS = 10_000;
const LOOSE_ENDS = /\s+/g;
const MAX_REASON_CHARACTERS = 200;

/** Why it does not, in a few words; undefined where it does. */
export async function edgeProblem(env: EnvironmentVariables): Promise<string | undefined> {
  const program = env.MINIFLARE_WORKERD_PATH || carriedRuntime();
  if (program === undefined) return "npm has no workerd for this machine";
  const result = await runProcess(program, ["--version"], {
    ...{ env: {}, deadlineMs: PROBE_DEADLINE_MS },
  });
  if (result.kind === "exited" && result.code === 0) return undefined;
  return `workerd does not start on this machine (${whyNot(result)}); MINIFLARE_WORKERD_PATH names one that does`;
}

function whyNot(result: SpawnResult): string {
  if (result.kind === "exited") return firstLine(result.stderr);
  // The kernel says the same of a program that is not there and of one whose loader is not.
  return result.kind === "not-started" ? "it or its loader is missing" : result.kind;
}

function firstLine(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.replaceAll(LOOSE_ENDS, " ").slice(0, MAX_REASON_CHARACTERS) || "without a word";
}

function carriedRuntime(): string | undefined {
  try {
    return createRequire(import.meta.url)("workerd").default;
  } catch {
    // No package for this platform, or installed without the optional ones.
    return undefined;
  }
}
