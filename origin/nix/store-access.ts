// How Nix reaches the store, as it says itself: by itself, or through a daemon, which may trust this
// user or not.

import type { NixTool } from "./nix-tool.ts";

export interface StoreAccess {
  /** Such as `local`, `daemon`, or the folder of a store that is not `/nix/store`. */
  readonly url: string;
  readonly through: "itself" | "daemon";
  /** Undefined where Nix does not say, as before 2.15. */
  readonly trusted: boolean | undefined;
}

const QUERY_DEADLINE_MS = 10_000;
/** Renamed in 2.19; 2.8 knows the second only. */
const COMMANDS = ["info", "ping"] as const;

/** Undefined where Nix does not say. */
export async function askStoreAccess(
  nix: Pick<NixTool, "run">,
  signal?: AbortSignal,
): Promise<StoreAccess | undefined> {
  for (const command of COMMANDS) {
    const result = await nix.run(
      "nix",
      ["store", command, "--extra-experimental-features", "nix-command"],
      { deadlineMs: QUERY_DEADLINE_MS, ...(signal && { signal }) },
    );
    if (result.kind !== "exited" || result.code !== 0) continue;
    // For people, and so on either output, depending on the version.
    const access = parseStoreAccess(`${result.stdout}\n${result.stderr}`);
    if (access !== undefined) return access;
  }
  return undefined;
}

export function parseStoreAccess(text: string): StoreAccess | undefined {
  const url = /^Store URL: (\S+)$/m.exec(text)?.[1];
  if (url === undefined) return undefined;
  const trusted = /^Trusted: ([01])$/m.exec(text)?.[1];
  return {
    url,
    through: /^(?:local|\/|file:)/.test(url) ? "itself" : "daemon",
    trusted: trusted === undefined ? undefined : trusted === "1",
  };
}
