// Locks a flake that is no git repository by what it holds: `nix flake metadata`, whose JSON
// differs a little between versions of Nix.

import * as v from "valibot";
import { parsePin } from "../../registry/naming/pin.ts";
import { evaluationMessage } from "../nix/nix-error.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { Resolution } from "./source.ts";

export interface LockedFlake {
  /** With a revision or a hash of the content in it. */
  readonly url: string;
  readonly pin: string;
}

// A large archive is downloaded and unpacked.
const DEADLINE_MS = 120_000;

// Versions 2.4 to 2.26 lock by `narHash`, 2.27 and 2.28 leave it out of `locked` where there is a
// revision, and the newest write `treeHash`. All have the locked URL as `url`, although they document
// `lockedUrl`.
const metadataSchema = v.object({
  url: v.optional(v.string()),
  lockedUrl: v.optional(v.string()),
  locked: v.object({
    rev: v.optional(v.string()),
    narHash: v.optional(v.string()),
    treeHash: v.optional(v.string()),
  }),
});

export async function lockFlake(
  nix: Pick<NixTool, "run">,
  url: string,
  signal?: AbortSignal,
): Promise<Resolution> {
  const result = await nix.run(
    "nix",
    [
      ...["--extra-experimental-features", "nix-command flakes", "flake", "metadata", "--json"],
      // What an input means must be written beside the flake, not found in a registry of this host.
      ...["--no-update-lock-file", "--option", "use-registries", "false"],
      // Archives are otherwise taken from a cache for an hour.
      ...["--refresh", "--", url],
    ],
    { deadlineMs: DEADLINE_MS, ...(signal && { signal }) },
  );
  if (result.kind !== "exited") {
    return { kind: "unreachable", message: "nix flake metadata did not answer" };
  }
  if (result.code !== 0) return { kind: "unreachable", message: evaluationMessage(result.stderr) };
  const locked = parseFlakeMetadata(JSON.parse(result.stdout));
  const pin = locked && parsePin(locked.pin);
  if (pin === undefined || locked === undefined) {
    return { kind: "unreachable", message: "nix gives the flake no revision and no hash" };
  }
  return { kind: "pinned", pin, source: { kind: "flake", url: locked.url }, immutable: false };
}

/** Undefined where nothing in it says which content it is. */
export function parseFlakeMetadata(json: unknown): LockedFlake | undefined {
  const parsed = v.safeParse(metadataSchema, json);
  if (!parsed.success) return undefined;
  const { rev, narHash, treeHash } = parsed.output.locked;
  const hash = narHash ?? treeHash;
  const pin = rev ?? (hash && `path-${hexOf(hash)}`);
  const url = parsed.output.url ?? parsed.output.lockedUrl;
  if (url === undefined || pin === undefined) return undefined;
  if (/[?&](?:rev|narHash|treeHash)=/.test(url)) return { url, pin };
  if (narHash === undefined) return undefined;
  return {
    url: `${url}${url.includes("?") ? "&" : "?"}narHash=${encodeURIComponent(narHash)}`,
    pin,
  };
}

/** Of `sha256-<base64>`. */
function hexOf(hash: string): string {
  return Buffer.from(hash.replace(/^sha256-/, ""), "base64").toString("hex");
}
