// What a start wants to know of a package set waits until its files are fetched, but not for long: a
// slow line must not keep an origin from starting. The fetching goes on, for the first pull.

import type { PinnedTag } from "../sources/pins.ts";
import type { Trees } from "../sources/trees.ts";
import { ownDemand } from "../waiting/demand.ts";

const DEADLINE_MS = 20_000;

interface NotFetched {
  readonly kind: "failed";
  readonly reason: string;
}

export async function ofFetched<Answer>(
  trees: Pick<Trees, "obtain">,
  pinned: PinnedTag,
  signal: AbortSignal,
  ask: (fetched: PinnedTag) => Promise<Answer>,
): Promise<Answer | NotFetched> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const tree = await trees.obtain(pinned, ownDemand(inTime));
  signal.throwIfAborted();
  switch (tree.kind) {
    case "there":
      return await ask({ ...pinned, source: tree.source });
    case "unreachable":
    case "unknown-tag":
      return failed(tree.message);
    case "busy":
    case "cancelled":
      return failed(`the package set was not fetched in ${DEADLINE_MS / 1000} s`);
    default:
      return tree satisfies never;
  }
}

function failed(reason: string): NotFetched {
  return { kind: "failed", reason };
}
