// Which store the host's Nix uses, and how, or why it does not answer.

import type { NixTool } from "../nix/nix-tool.ts";
import { parseStoreAccess } from "../nix/store-access.ts";
import { isOlder } from "../nix/version.ts";

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
  return isOlder(version, INFO_SINCE) ? "ping" : "info";
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
  // For people, and so on either output, depending on the version.
  const access = parseStoreAccess(`${result.stdout}\n${result.stderr}`);
  if (result.code !== 0 || access === undefined) {
    const isDaemon = access?.through === "daemon" || /daemon-socket/.test(result.stderr);
    return { kind: "silent", isDaemon, why: lastLine(result.stderr) };
  }
  return {
    ...{ kind: "store", url: access.url, isDaemon: access.through === "daemon" },
    isTrusted: access.trusted ?? null,
    directory: nix.storeDirectory,
  };
}

function lastLine(text: string): string {
  const [last = ""] = text.trim().split("\n").slice(-1);
  return last.replace(/^error: /, "");
}
