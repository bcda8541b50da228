// Which store paths are there.

import type { StorePath } from "../../registry/naming/store-path.ts";
import { evaluationMessage } from "./nix-error.ts";
import { NixFailed } from "./nix-failed.ts";
import type { NixTool } from "./nix-tool.ts";

const QUERY_DEADLINE_MS = 60_000;

/** Those of `paths` that are not valid. */
export async function findInvalid(
  nix: NixTool,
  paths: readonly StorePath[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (paths.length === 0) return new Set();
  const result = await nix.run("nix-store", ["--check-validity", "--print-invalid", ...paths], {
    ...{ deadlineMs: QUERY_DEADLINE_MS, signal },
  });
  if (result.kind === "exited" && result.code === 0) {
    return new Set(result.stdout.split("\n").filter((line) => line !== ""));
  }
  signal.throwIfAborted();
  const why = result.kind === "exited" ? evaluationMessage(result.stderr) : result.kind;
  throw new NixFailed(`nix-store --check-validity failed: ${why}`);
}
