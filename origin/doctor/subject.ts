// What is examined: the environment as an origin would have it, read without preparing the machine,
// and what several checks need to know of it, asked once.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { LATEST } from "../../registry/naming/reference.ts";
import { type Config, readConfig } from "../configuration/config.ts";
import { SOURCE_VARIABLES } from "../configuration/source.ts";
import { nixPath } from "../nix/nix-runner.ts";
import type { NixSettings } from "../nix/nix-settings.ts";
import { askNixVersion, findNix, type NixTool } from "../nix/nix-tool.ts";
import { StoreProblem } from "../nix/store-place.ts";
import { configured } from "../sources/configured.ts";
import { createResolver } from "../sources/resolve.ts";
import type { Resolution, Source } from "../sources/source.ts";
import { withNewerNix } from "./needed-nix.ts";
import { readStoreInfo, type StoreInfo } from "./store-info.ts";

export interface SubjectOptions {
  /** What an origin on this machine would be started with. */
  readonly env: Readonly<Record<string, string>>;
  readonly statePath: string;
  /** The edge's URL is this machine's default: nobody has said that there is one. */
  readonly isEdgeAssumed: boolean;
  readonly nixpkgsAnswers: () => Promise<boolean>;
  /** NIX_CONFIG as npm start sets it for the Debian-backed set. */
  readonly debianSetNixConfig: (before: string | undefined) => string;
  /** Ends whatever is being asked. */
  readonly signal: AbortSignal;
}

export type FoundNix =
  | { readonly kind: "found"; readonly nix: NixTool; readonly path: string }
  /** There, but its store is of no use. */
  | {
      readonly kind: "storeless";
      readonly version: string;
      readonly path: string;
      readonly why: string;
    }
  | { readonly kind: "absent" }
  | { readonly kind: "silent"; readonly why: string };

export type SubjectSource =
  | { readonly kind: "configured" | "would-take"; readonly source: Source }
  /** The set that npm start would make of Debian's archive. */
  | { readonly kind: "would-make" }
  | { readonly kind: "wrong" };

export interface Subject {
  /** What Nix would run in. */
  readonly nixEnv: () => Promise<Readonly<Record<string, string>>>;
  readonly statePath: string;
  readonly isEdgeAssumed: boolean;
  /** Null where it is wrong. Its source is a stand-in where the environment names none. */
  readonly config: Config | null;
  readonly problems: readonly string[];
  readonly findNix: () => Promise<FoundNix>;
  /** Undefined without Nix, as its settings are. */
  readonly store: () => Promise<StoreInfo | undefined>;
  readonly settings: () => Promise<NixSettings | undefined>;
  readonly source: () => Promise<SubjectSource>;
  /** What `latest` is of a source; undefined where there is none to ask, or no Nix. */
  readonly resolution: () => Promise<Resolution | undefined>;
}

export function openSubject(options: SubjectOptions): Subject {
  const { env, statePath, isEdgeAssumed, signal } = options;
  const isNamed = SOURCE_VARIABLES.some((name) => env[name]?.trim());
  const read = readConfig(isNamed ? env : { ...env, NIXERY_CHANNEL: "nixos-unstable" });
  const config = read.kind === "config" ? read.config : null;
  const nixEnv = once(async () => {
    const known = await source();
    const isOwn = !isNamed && isDebianSet(known, statePath);
    const own = isOwn ? { NIX_CONFIG: options.debianSetNixConfig(env.NIX_CONFIG) } : {};
    const named = "source" in known ? known.source : null;
    return await withNewerNix({ ...env, ...own }, statePath, named);
  });
  const find = once(async () => locateNix(await nixEnv()));
  const nix = async () => {
    const found = await find();
    return found.kind === "found" ? found.nix : undefined;
  };
  const source = once(async (): Promise<SubjectSource> => {
    if (config === null) return { kind: "wrong" };
    if (isNamed) return { kind: "configured", source: config.source };
    if (await options.nixpkgsAnswers()) return { kind: "would-take", source: config.source };
    const path = debianSetIn(statePath);
    return existsSync(path)
      ? { kind: "would-take", source: { kind: "path", path } }
      : { kind: "would-make" };
  });
  return {
    ...{ nixEnv, statePath, isEdgeAssumed, config, source, findNix: find },
    problems: read.kind === "invalid" ? read.problems : [],
    store: once(async () => {
      const tool = await nix();
      return tool && (await readStoreInfo(tool, signal));
    }),
    settings: async () => (await nix())?.settings,
    resolution: once(async () => {
      const [tool, known] = await Promise.all([nix(), source()]);
      if (tool === undefined || config === null || !("source" in known)) return undefined;
      const resolver = createResolver({
        ...{ source: known.source, nix: tool, env, now: Date.now, signal },
      });
      const resolved = await resolver.resolve(LATEST);
      return resolved.kind === "pinned" ? configured(resolved, config.nixpkgsConfig) : resolved;
    }),
  };
}

/** The set that npm start makes of Debian's archive. */
function isDebianSet(known: SubjectSource, statePath: string): boolean {
  if (!("source" in known)) return known.kind === "would-make";
  return known.source.kind === "path" && known.source.path === debianSetIn(statePath);
}

function debianSetIn(statePath: string): string {
  return join(statePath, "debian");
}

async function locateNix(env: Readonly<Record<string, string>>): Promise<FoundNix> {
  const asked = await askNixVersion({ env });
  if (asked.kind === "absent") return asked;
  if (asked.kind === "unusable")
    return { kind: "silent", why: `nix --version answers ${asked.said}` };
  const folders = nixPath(env);
  const path = folders.map((folder) => join(folder, "nix")).find((each) => existsSync(each));
  const place = { version: asked.version, path: path ?? "nix" };
  try {
    const nix = await findNix({ env });
    return nix === undefined ? { kind: "absent" } : { kind: "found", nix, path: place.path };
  } catch (error) {
    if (!(error instanceof StoreProblem)) throw error;
    return { kind: "storeless", ...place, why: error.message };
  }
}

function once<Result>(ask: () => Promise<Result>): () => Promise<Result> {
  let asked: Promise<Result> | undefined;
  return () => {
    asked ??= ask();
    return asked;
  };
}
