// Which Nix a local start uses: the machine's own, or a newer one that is brought; and whether the
// package source that this program chooses by itself can be read with it.

import { readSource } from "../configuration/source.ts";
import { openVariables } from "../configuration/variables.ts";
import { adviseUpgrade, describeTooOld, INSTALL_NIX } from "../failures/nix-advice.ts";
import { type Fit, fitNix, isOfNoUse } from "../nix/fitting-nix.ts";
import { neededBy } from "../sources/needed-nix.ts";
import { describeSource } from "../sources/source.ts";
import type { Env, Say } from "./as-root.ts";
import { HostProblem } from "./host-problem.ts";

type Fitted = Extract<Fit, { kind: "fits" | "too-old" }>;

/**
 * The environment for a source that was asked for. What a branch of nixpkgs usually needs is no
 * reason to refuse it: an older one may need less, and its own tree says so once it is there.
 */
export async function fittingEnvironment(env: Env, statePath: string, say: Say): Promise<Env> {
  // What is wrong with the source's variables is told by whoever reads the configuration.
  const source = readSource(openVariables(env));
  const need = source === undefined ? NOTHING : await neededBy(source);
  const fit = await fitHere(need.version, env, statePath, say);
  if (fit.kind === "fits") return fit.env;
  const what = source === undefined ? "the package source" : describeSource(source);
  const told = describeTooOld(fit, what);
  if (need.isKnown || isOfNoUse(fit)) throw new HostProblem(`${told}. ${adviseUpgrade(fit, env)}`);
  say(`${told}; tried all the same, since it may need less`);
  return env;
}

const NOTHING = { version: "0", isKnown: true };

export type ChosenNixpkgs =
  | { readonly kind: "fits"; readonly env: Env }
  /** Half a sentence. */
  | { readonly kind: "unfit"; readonly reason: string };

/** The environment for nixpkgs where nothing was asked for, and so nothing is tried in vain. */
export async function chooseNixpkgs(env: Env, statePath: string, say: Say): Promise<ChosenNixpkgs> {
  const chosen = { ...env, NIXERY_CHANNEL: CHANNEL };
  const source = { kind: "nixpkgs", url: "", channel: CHANNEL } as const;
  const fit = await fitHere((await neededBy(source)).version, chosen, statePath, say);
  if (fit.kind === "too-old") {
    return { kind: "unfit", reason: describeTooOld(fit, describeSource(source)) };
  }
  say(`package source: ${describeSource(source)}`);
  return { kind: "fits", env: fit.env };
}

const CHANNEL = "nixos-unstable";

/** Throws HostProblem where there is no Nix at all. */
async function fitHere(needed: string, env: Env, statePath: string, say: Say): Promise<Fitted> {
  const fit = await fitNix(needed, { env, statePath, onProgress: say });
  switch (fit.kind) {
    case "absent":
      throw new HostProblem(`there is no Nix on PATH. ${INSTALL_NIX}`);
    case "unusable":
      throw new HostProblem(
        `nix --version answers ${fit.said}, which is no version of Nix. ${INSTALL_NIX}`,
      );
    case "fits":
      if (fit.env !== env) say(`Nix ${fit.version} is used, which is newer than this machine's`);
      return fit;
    case "too-old":
      return fit;
    default:
      return fit satisfies never;
  }
}
