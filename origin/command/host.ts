// Prepares the machine: programs that are missing, a store for a fresh Nix, and the package source
// where the environment names none. A machine that has what is needed is not touched.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { absentText, generateDebianSet } from "../../nix/debian/generate.ts";
import { SOURCE_VARIABLES } from "../configuration/source.ts";
import type { EnvironmentVariables } from "../configuration/variables.ts";
import { nixPath } from "../nix/nix-runner.ts";
import { canUse, carryOut, isRoot, type Say } from "./as-root.ts";
import { chooseNixpkgs, fittingEnvironment } from "./host-nix.ts";
import { installSteps, type Needed, type Tool } from "./host-packages.ts";
import { DAEMON_SOCKET, storeNixConfig, storeSteps } from "./host-store.ts";

export type { Say } from "./as-root.ts";

const NIX_TOOLS: readonly Tool[] = [["nix-store", "nix-bin"]];
/** Asks channels and repositories what their branches are, and fetches from the latter. */
const GIT_TOOLS: readonly Tool[] = [["git", "git"]];
const PROBE_DEADLINE_MS = 5000;

export interface PreparedHost {
  /** The environment for the origin: a package source is named in it. */
  readonly env: Readonly<Record<string, string>>;
}

/** Throws HostProblem with what a person must do when the machine cannot be prepared. */
export async function prepareHost(
  env: EnvironmentVariables,
  statePath: string,
  say: Say,
): Promise<PreparedHost> {
  const defined = definedOnly(env);
  const packages = await choosePackages(defined);
  const needed = neededFor(packages, defined);
  // All that root must do is looked at together, so that it can be told together.
  const plan = async () => [...installSteps(needed), ...(await storeSteps(defined))];
  await carryOut(plan, defined, say);
  const nixConfig = await storeNixConfig(defined);
  const own = {
    ...defined,
    ...(nixConfig !== undefined && { NIX_CONFIG: withLines(defined.NIX_CONFIG, [nixConfig]) }),
  };
  switch (packages) {
    case "local":
    case "remote":
      return { env: await fittingEnvironment(own, statePath, say) };
    case "nixpkgs": {
      const nixpkgs = await chooseNixpkgs(own, statePath, say);
      if (nixpkgs.kind === "fits") return { env: nixpkgs.env };
      const { reason } = nixpkgs;
      return { env: { ...own, ...(await prepareDebianSet(own, statePath, say, reason)) } };
    }
    case "debian": {
      const reason = "nixpkgs cannot be reached";
      return { env: { ...own, ...(await prepareDebianSet(own, statePath, say, reason)) } };
    }
    default:
      return packages satisfies never;
  }
}

/** Where packages come from: what the environment names, as far as it matters here, or our choice. */
type Packages = "local" | "remote" | "nixpkgs" | "debian";

async function choosePackages(env: Readonly<Record<string, string>>): Promise<Packages> {
  const named = SOURCE_VARIABLES.filter((name) => env[name]);
  if (named.length > 0) return named.every((name) => name === LOCAL_SOURCE) ? "local" : "remote";
  return (await nixpkgsAnswers()) ? "nixpkgs" : "debian";
}

const LOCAL_SOURCE: (typeof SOURCE_VARIABLES)[number] = "NIXERY_PKGS_PATH";

function neededFor(packages: Packages, env: Readonly<Record<string, string>>): readonly Needed[] {
  const usesGit = packages === "remote" || packages === "nixpkgs";
  const tools = usesGit ? [...NIX_TOOLS, ...GIT_TOOLS] : NIX_TOOLS;
  return [{ tools, folders: nixPath(env) }];
}

export async function nixpkgsAnswers(): Promise<boolean> {
  const answers = await Promise.all(
    ["https://cache.nixos.org/nix-cache-info", "https://github.com/NixOS/nixpkgs"].map(
      async (url) => {
        try {
          const signal = AbortSignal.timeout(PROBE_DEADLINE_MS);
          const response = await fetch(url, { method: "HEAD", signal });
          return response.ok;
        } catch {
          // No network, no name, or a proxy's refusal: all mean that it cannot be reached.
          return false;
        }
      },
    ),
  );
  return answers.every((answered) => answered);
}

async function prepareDebianSet(
  env: Readonly<Record<string, string>>,
  statePath: string,
  say: Say,
  reason: string,
): Promise<Readonly<Record<string, string>>> {
  const out = join(statePath, "debian");
  const { locks, absent } = await generateDebianSet({ outDir: out });
  say(`package source: ${locks[0]?.roots.length} packages made of Debian's, since ${reason}`);
  for (const each of absent) say(absentText(each));
  return { NIXERY_PKGS_PATH: out, NIX_CONFIG: debianSetNixConfig(env.NIX_CONFIG) };
}

/**
 * Where nixpkgs cannot be reached, asking a binary cache would cost each build five seconds. The
 * set's builders work in a sandbox, so that is the host's to choose; where it has not, they go
 * without, since many a container lets nobody make one. A daemon takes none of this from its users.
 */
export function debianSetNixConfig(before: string | undefined): string {
  const own = ["substituters =", "max-jobs = auto"];
  if (!existsSync("/etc/nix/nix.conf")) own.push("sandbox = false");
  if (!isRoot() && !canUse(DAEMON_SOCKET)) own.push("build-users-group =");
  return withLines(before, own);
}

function withLines(before: string | undefined, own: readonly string[]): string {
  return [...(before === undefined ? [] : [before]), ...own].join("\n");
}

function definedOnly(env: EnvironmentVariables): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
