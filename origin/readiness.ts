// Whether this origin can make images: one lookup, at the revision that `latest` is, of a package
// that every image has. It goes the way of a pull, so a pull finds it done, and a later start at the
// same revision evaluates nothing.

import type { PackageName, System } from "../registry/naming/recipe.ts";
import { LATEST } from "../registry/naming/reference.ts";
import { describeSetFailure, failureError } from "./failures/failures.ts";
import { adviseUpgrade, describeTooOld } from "./failures/nix-advice.ts";
import type { Lookups, NoLookup } from "./images/lookups.ts";
import type { Log } from "./log/log.ts";
import type { TooOld } from "./nix/fitting-nix.ts";
import type { SetFailed } from "./nix/look-up.ts";
import type { Pins } from "./sources/pins.ts";
import { describeSource, isCommit, type Source } from "./sources/source.ts";
import { ownDemand } from "./waiting/demand.ts";

export type Readiness =
  | { readonly kind: "ready" }
  /** What is known can be pulled, and the rest once that has changed. */
  | { readonly kind: "ready-but"; readonly why: string }
  /** It would not change by itself. */
  | { readonly kind: "refused"; readonly why: string };

export interface ReadinessOptions {
  readonly source: Source;
  readonly pins: Pick<Pins, "resolve">;
  readonly lookups: Pick<Lookups, "find">;
  readonly system: System;
  readonly log: Log;
  /** Why there is no newer Nix where the set needs one, and what Nix runs in, for what to do. */
  readonly missedNix: () => TooOld | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Ends the looking, which otherwise goes on when it has taken too long to wait for. */
  readonly signal: AbortSignal;
  readonly waitMs?: number;
}

/** An origin that must not start: a person has to change something first. */
export class NotReady extends Error {}

const PROBE = "cacert" as PackageName;
/** With a line of some megabytes a second nixpkgs is fetched and unpacked by then. */
const WAIT_MS = 60_000;

export async function askReadiness(options: ReadinessOptions): Promise<Readiness> {
  const { waitMs = WAIT_MS, signal, log } = options;
  const { promise: late, resolve } = Promise.withResolvers<Readiness>();
  const timer = setTimeout(() => {
    resolve(noAnswer(`not within ${waitMs / 1000} s`));
  }, waitMs);
  const asked = ask(options).catch((error: unknown): Readiness => {
    if (!signal.aborted) log.error({ err: error }, "whether images can be made was not found out");
    return noAnswer("it could not be asked");
  });
  return await Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

async function ask(options: ReadinessOptions): Promise<Readiness> {
  const pinned = await options.pins.resolve(LATEST);
  if (pinned.kind === "unreachable") return noAnswer(pinned.message);
  // A branch may be made yet, and other tags be there.
  if (pinned.kind === "unknown-tag") return but(`latest cannot be had: ${pinned.message}`);
  const { lookups, system, signal } = options;
  const [answer] = await lookups.find(pinned, system, [PROBE], ownDemand(signal));
  if (answer === undefined) throw new Error("no answer to a lookup");
  switch (answer.lookup.kind) {
    case "evaluation-failed":
      return but(`${PROBE}, which every image has, fails: ${answer.lookup.message}`);
    case "set-failed":
      return withoutSet(answer.lookup, options);
    case "unreachable":
    case "timed-out":
    case "cancelled":
    case "busy":
    case "cache-failed":
    case "source-unreachable":
    case "host-failed":
    case "unknown-tag":
    case "nix-too-old":
      return withoutLookup(answer.lookup, options);
    default:
      // A set without it, or one that refuses it, loads all the same.
      return { kind: "ready" };
  }
}

function withoutLookup(
  lookup: Exclude<NoLookup, SetFailed>,
  { source, missedNix, env }: ReadinessOptions,
): Readiness {
  switch (lookup.kind) {
    case "unreachable":
      return noAnswer(lookup.message);
    case "unknown-tag":
      return but(`latest cannot be had: ${lookup.message}`);
    case "timed-out":
      return noAnswer(`not within ${lookup.afterMs / 1000} s`);
    case "cancelled":
    case "busy":
      return noAnswer("it could not be asked");
    case "cache-failed":
    case "source-unreachable":
      return but(failureError(lookup).message);
    case "host-failed":
      return but(`this machine cannot evaluate now: ${lookup.reason}`);
    // Neither waiting nor a change of the set mends that, only whoever sees this start.
    case "nix-too-old": {
      const { version, needed } = lookup;
      const unknown = { version, needed, why: "it was not looked for", isManaged: false };
      const missed = missedNix() ?? { kind: "too-old", ...unknown };
      const told = describeTooOld(missed, describeSource(source));
      return { kind: "refused", why: `${told}. ${adviseUpgrade(missed, env)}` };
    }
    default:
      return lookup satisfies never;
  }
}

/**
 * A set that may change, be it a local path under edit or a branch, is served as soon as it loads. A
 * commit never will.
 */
function withoutSet(failure: SetFailed, { source }: ReadinessOptions): Readiness {
  const why = describeSetFailure(failure);
  return isFixed(source) ? { kind: "refused", why } : but(why);
}

function isFixed(source: Source): boolean {
  switch (source.kind) {
    case "nixpkgs":
      return isCommit(source.channel);
    case "git":
    case "flake":
      return isCommit(source.latest ?? "");
    case "path":
      return false;
    default:
      return source satisfies never;
  }
}

function but(why: string): Readiness {
  return { kind: "ready-but", why: why.replace(/\s+/g, " ").trim() };
}

function noAnswer(why: string): Readiness {
  return but(`the source does not answer: ${why}`);
}
