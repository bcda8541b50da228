// Which of the trees that were fetched are let go, for Nix's own collector to free: those that no tag
// needs and nobody has used for long, and of those that clients named more than there is room for.

import type { Pin } from "../../registry/naming/pin.ts";
import type { Log } from "../log/log.ts";
import type { TreeRoots } from "./tree-roots.ts";

export interface KeepingRules {
  /** For how long after its last use a tree stays that is no tag's revision. */
  readonly keepMs: number;
  /** Beyond this many such trees the oldest go at once: clients may ask for any commit. */
  readonly maxTrees: number;
  /** The revisions of all tags that are remembered. */
  readonly pinsOfTags: () => Promise<ReadonlySet<Pin>>;
  readonly log: Log;
}

export interface PruneOptions extends KeepingRules {
  readonly roots: Pick<TreeRoots, "list" | "drop">;
  readonly nowMs: number;
  /** Whether it is being fetched, or was used in the time before now. */
  readonly isInUse: (key: string, restMs: number) => boolean;
}

/** How often a use is noted at most. */
export const USE_NOTED_MS = 3_600_000;
/** What was used so lately may be being evaluated. */
const MIN_REST_MS = 2 * USE_NOTED_MS;

/** Room that is not made is no reason to refuse what was fetched, so it never throws. */
export async function pruneTrees({ roots, nowMs, isInUse, log, ...rules }: PruneOptions) {
  try {
    const pinned = await rules.pinsOfTags();
    const rest = (await roots.list())
      .filter(({ revision }) => !pinned.has(revision))
      .toSorted((one, other) => other.usedAtMs - one.usedAtMs);
    for (const [rank, { key, usedAtMs }] of rest.entries()) {
      const restMs = rank < rules.maxTrees ? rules.keepMs : MIN_REST_MS;
      if (nowMs - usedAtMs < restMs || isInUse(key, restMs)) continue;
      log.info({ tree: key }, "no longer kept");
      await roots.drop(key);
    }
  } catch (error) {
    log.warn({ err: error }, "package sets that nobody needs could not be let go");
  }
}
