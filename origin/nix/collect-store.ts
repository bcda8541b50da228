// Nix's own collector, run by hand: whatever no root holds leaves the store. An origin holds by roots what it
// builds and packs, and the package sets that it evaluates, so it may serve meanwhile; a derivation that went
// is evaluated again.

import type { NixRunner } from "./nix-runner.ts";

export type StoreCollected =
  /** In Nix's words: how much. */
  | { readonly kind: "collected"; readonly said: string }
  | { readonly kind: "failed"; readonly reason: string };

/** A store of terabytes on a slow disk. */
const DEADLINE_MS = 6 * 3_600_000;
const FREED = /^\d+ store paths? deleted.*$/m;

export async function collectStore(
  nix: { readonly run: NixRunner },
  isDryRun: boolean,
  signal: AbortSignal,
): Promise<StoreCollected> {
  const args = isDryRun ? ["--gc", "--print-dead"] : ["--gc"];
  const result = await nix.run("nix-store", args, { deadlineMs: DEADLINE_MS, signal });
  signal.throwIfAborted();
  if (result.kind !== "exited") return { kind: "failed", reason: `nix-store ${result.kind}` };
  if (result.code !== 0) return { kind: "failed", reason: result.stderr.trim() };
  if (isDryRun) {
    const dead = result.stdout.split("\n").filter((line) => line.startsWith("/nix/store/"));
    return { kind: "collected", said: `${dead.length} store paths would go` };
  }
  // One version says it on standard output, another on standard error.
  const [said = "done"] = FREED.exec(`${result.stdout}\n${result.stderr}`) ?? [];
  return { kind: "collected", said };
}
