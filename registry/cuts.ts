// Which cut of each package's closure an image takes: the fine one while all fit, coarser ones for
// the largest packages otherwise. Decided from the records alone, so that edge and origin agree.

import { type LayerRecord, type PackageRecord, recordPaths } from "./record.ts";
import type { StorePath } from "./store-path.ts";

export interface CutOfRecord {
  readonly record: PackageRecord;
  /** 0 is the fine cut; n is the nth of `coarser`. */
  readonly level: number;
}

/**
 * A bundle of any cut, under a key that bundles of the same paths share, whichever package they are
 * of and whether or not they hold a view: an image needs only one of them.
 */
export interface CutBundle {
  readonly key: string;
  readonly storePaths: readonly StorePath[];
  readonly popularity: number;
  readonly holdsView: boolean;
  readonly layer: LayerRecord | null;
}

export function bundlesOf({ record, level }: CutOfRecord): readonly CutBundle[] {
  if (level === 0) {
    return record.bundles.map((bundle) => ({
      key: bundle.storePaths.join(" "),
      storePaths: bundle.storePaths,
      popularity: bundle.popularity,
      holdsView: bundle.holdsView,
      layer: { digest: bundle.digest, diffId: bundle.diffId, sizeBytes: bundle.sizeBytes },
    }));
  }
  const paths = recordPaths(record);
  return (record.coarser[level - 1] ?? []).map(({ members, ...bundle }) => {
    const storePaths = members.flatMap((place) => paths[place] ?? []);
    return { key: storePaths.join(" "), storePaths, ...bundle };
  });
}

/**
 * Fine cuts while they fit. Else the package with the most bundles goes one cut coarser, and again,
 * until all fit or nothing is left to coarsen: whoever has the same records chooses the same.
 */
export function chooseCuts(
  records: readonly PackageRecord[],
  budget: number,
): readonly CutOfRecord[] {
  const chosen = records.map((record) => {
    const cut = { record, level: 0 };
    return { cut, bundles: bundlesOf(cut) };
  });
  while (new Set(chosen.flatMap(({ bundles }) => bundles.map(({ key }) => key))).size > budget) {
    const largest = chosen
      .filter(({ cut }) => cut.level < cut.record.coarser.length)
      .sort(
        (a, b) =>
          b.bundles.length - a.bundles.length ||
          (a.cut.record.storePath < b.cut.record.storePath ? -1 : 1),
      )[0];
    if (largest === undefined) break;
    largest.cut = { record: largest.cut.record, level: largest.cut.level + 1 };
    largest.bundles = bundlesOf(largest.cut);
  }
  return chosen.map(({ cut }) => cut);
}
