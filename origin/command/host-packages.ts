// Programs that are missing, and the Debian packages that bring them. Elsewhere than on Debian and
// its kin they are named, and their installation is the host's own.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { nixPath } from "../nix/nix-runner.ts";
import { carryOut, type Env, type RootStep, type Say } from "./as-root.ts";
import { HostProblem } from "./host-problem.ts";

/** A program, and the Debian package that has it. */
export type Tool = readonly [program: string, debianPackage: string];

/** Programs, and where they are looked for. */
export interface Needed {
  readonly tools: readonly Tool[];
  readonly folders: readonly string[];
}

/** Installs the Debian packages of the programs that are in none of the folders. */
export async function ensureTools(
  tools: readonly Tool[],
  env: Env,
  say: Say,
  folders: readonly string[] = nixPath(env),
): Promise<void> {
  await carryOut(async () => installSteps([{ tools, folders }]), env, say);
}

/** Throws HostProblem where there is nothing to install them with. */
export function installSteps(needed: readonly Needed[]): readonly RootStep[] {
  const missing = needed.flatMap(({ tools, folders }) =>
    tools.filter(([program]) => !folders.some((folder) => existsSync(join(folder, program)))),
  );
  if (missing.length === 0) return [];
  const packages = [...new Set(missing.map(([, debianPackage]) => debianPackage))];
  if (!existsSync("/usr/bin/apt-get")) {
    const programs = [...new Set(missing.map(([program]) => program))].join(", ");
    throw new HostProblem(
      `missing: ${programs}; this machine has no apt-get to install them with, and docs/hosts.md says how it gets them`,
    );
  }
  const install = [...APT_GET, "install", "--yes", "--no-install-recommends", ...packages];
  return [
    {
      what: `installing ${packages.join(" ")}`,
      // A fresh image has no package lists, and old lists name files that are gone; but updating
      // them takes a while, and needs the network where the packages may be at hand.
      shortcut: install,
      commands: [[...APT_GET, "update"], install],
    },
  ];
}

const APT_GET = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"];
