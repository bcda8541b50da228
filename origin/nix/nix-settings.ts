// What the host's nix.conf comes to, as Nix itself reads it: which caches count, and how it builds.
// Read once with a start; nothing of it is overridden.

import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";
import type { NixRunner } from "./nix-runner.ts";

export interface NixSettings {
  /** URLs of binary caches, in the order of the configuration; empty where nothing is substituted. */
  readonly substituters: readonly string[];
  readonly trustedPublicKeys: readonly string[];
  readonly sandbox: boolean | "relaxed";
  readonly maxJobs: number;
  /** As written, `@/etc/nix/machines` for a file of them. */
  readonly builders: string;
  readonly netrcFile: string;
  readonly buildUsersGroup: string;
  /** The URL of the store, `auto` where Nix chooses. */
  readonly store: string;
}

const QUERY_DEADLINE_MS = 10_000;
/** Renamed in 2.20; 2.8 knows the second only. */
const COMMANDS = [["config", "show"], ["show-config"]] as const;

const itsValue = <T>(schema: v.GenericSchema<unknown, T>) =>
  v.pipe(
    v.object({ value: schema }),
    v.transform(({ value }) => value),
  );
const settingsSchema = v.pipe(
  v.object({
    substitute: itsValue(v.boolean()),
    substituters: itsValue(v.array(v.string())),
    "trusted-public-keys": itsValue(v.array(v.string())),
    // `true`, `false` or `relaxed`; 2.8 gives the first two as booleans.
    sandbox: itsValue(v.union([v.boolean(), v.string()])),
    "max-jobs": itsValue(v.number()),
    builders: itsValue(v.string()),
    "netrc-file": itsValue(v.string()),
    "build-users-group": itsValue(v.string()),
    store: itsValue(v.string()),
  }),
  v.transform(
    (json): NixSettings => ({
      substituters: json.substitute ? json.substituters : [],
      trustedPublicKeys: json["trusted-public-keys"],
      sandbox:
        json.sandbox === "relaxed" ? "relaxed" : json.sandbox === true || json.sandbox === "true",
      maxJobs: json["max-jobs"],
      builders: json.builders,
      netrcFile: json["netrc-file"],
      buildUsersGroup: json["build-users-group"],
      store: json.store,
    }),
  ),
);

/** Undefined where Nix does not say. */
export async function readNixSettings(
  { run }: { readonly run: NixRunner },
  signal?: AbortSignal,
): Promise<NixSettings | undefined> {
  for (const command of COMMANDS) {
    const result = await run(
      "nix",
      [...command, "--json", "--extra-experimental-features", "nix-command"],
      { deadlineMs: QUERY_DEADLINE_MS, ...(signal && { signal }) },
    );
    if (result.kind !== "exited" || result.code !== 0) continue;
    const settings = parseNixSettings(parseJson(result.stdout));
    if (settings !== undefined) return settings;
  }
  return undefined;
}

export function parseNixSettings(json: unknown): NixSettings | undefined {
  const parsed = v.safeParse(settingsSchema, json);
  return parsed.success ? parsed.output : undefined;
}
