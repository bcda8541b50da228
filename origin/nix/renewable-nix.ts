// A Nix that is replaced by a newer one while the origin uses it: when the package set moves to a
// revision that needs one, which only evaluating it shows.

import type { Log } from "../log/log.ts";
import { rememberFailures } from "../memory/failure-memory.ts";
import type { Fit, TooOld } from "./fitting-nix.ts";
import type { NixTool } from "./nix-tool.ts";
import { isOlder } from "./version.ts";

export interface RenewableNix {
  /** Whatever is started by it from now on is of the newest there is. */
  readonly nix: NixTool;
  /** Whether what is used from now on is of that version at least. */
  bring(needed: string): Promise<boolean>;
  /** Why it could not be brought lately; undefined when nobody needed one. */
  missed(): TooOld | undefined;
}

export interface RenewableNixOptions {
  readonly bring: (old: NixTool, needed: string) => Promise<Fit>;
  readonly open: (env: Readonly<Record<string, string>>) => Promise<NixTool | undefined>;
  readonly log: Log;
  readonly now: () => number;
}

/** A cache that could not be reached may answer by then. */
const TRY_AGAIN_MS = 30_000;

export function renewableNix(first: NixTool, options: RenewableNixOptions): RenewableNix {
  const { log, now } = options;
  let current = first;
  let underWay: Promise<void> | undefined;
  let missed: TooOld | undefined;
  const failed = rememberFailures<true>({ forMs: TRY_AGAIN_MS, now });

  /** Said once for each attempt, however many packages it was asked for. */
  async function attempt(needed: string): Promise<void> {
    const { version } = current;
    log.error({ version, needed }, "the package set needs a newer Nix");
    const fit = await options.bring(current, needed);
    const newer = fit.kind === "fits" ? await options.open(fit.env) : undefined;
    if (newer !== undefined) {
      current = newer;
      log.info({ version: current.version }, "another Nix is used from now on");
      return;
    }
    failed.store(needed, true);
    if (fit.kind === "too-old") missed = fit;
    log.error({ version, needed, reason: missed?.why }, "no newer Nix is to be had");
  }

  return {
    nix: {
      ...first,
      get version() {
        return current.version;
      },
      run: (program, args, limits) => current.run(program, args, limits),
    },
    async bring(needed) {
      if (isOlder(current.version, needed) && failed.lookup(needed) === undefined) {
        underWay ??= attempt(needed).finally(() => {
          underWay = undefined;
        });
        await underWay;
      }
      return !isOlder(current.version, needed);
    },
    missed: () => missed,
  };
}
