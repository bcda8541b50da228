// Which store the host's Nix uses, and how: asked of Nix, whose words changed their place and name
// over the versions.

import type { NixTool } from "../nix/nix-tool.ts";
import { isAtLeast } from "./needed-nix.ts";

export type StoreInfo =
  | {
      readonly kind: "store";
      readonly url: string;
      readonly isDaemon: boolean;
      /** Null where this version does not say. */
      readonly isTrusted: boolean | null;
      /** Where the files of /nix/store really are. */
      readonly directory: string;
    }
  | { readonly kind: "silent"; readonly isDaemon: boolean; readonly why: string };

const DEADLINE_MS = 10_000;
/** `nix store ping` has been called so since. */
const INFO_SINCE = "2.19";

/** Of `nix store`: asks a store whether it is there. */
export function infoCommand({ version }: Pick<NixTool, "version">): "info" | "ping" {
  return isAtLeast(version, INFO_SINCE) ? "info" : "ping";
}

export async function readStoreInfo(
  nix: Pick<NixTool, "run" | "version" | "storeDirectory">,
  signal: AbortSignal,
): Promise<StoreInfo> {
  const result = await nix.run(
    "nix",
    ["store", infoCommand(nix), "--extra-experimental-features", "nix-command"],
    { deadlineMs: DEADLINE_MS, signal },
  );
  if (result.kind !== "exited") return { kind: "silent", isDaemon: false, why: result.kind };
  // Old versions write to standard error.
  const words = `${result.stdout}\n${result.stderr}`;
  const url = /^Store URL: (.*)$/m.exec(words)?.[1]?.trim() ?? "";
  const isDaemon = /^(?:daemon|unix:|ssh)/.test(url) || /daemon-socket/.test(result.stderr);
  if (result.code !== 0 || url === "") {
    return { kind: "silent", isDaemon, why: lastLine(result.stderr) };
  }
  const trusted = /^Trusted: ([01])$/m.exec(words)?.[1];
  return {
    ...{ kind: "store", url, isDaemon },
    isTrusted: trusted === undefined ? null : trusted === "1",
    directory: nix.storeDirectory,
  };
}

function lastLine(text: string): string {
  return (
    text
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/^error: /, "") ?? ""
  );
}
