// Which cut of each part's closure an image takes, and the layers that come of it: the fine cuts while
// all fit, coarser ones for the largest parts otherwise. Decided from the records alone, so that edge
// and origin agree.

import type { StorePath } from "../naming/store-path.ts";
import { type Part, partName } from "./part.ts";
import { type LayerRecord, type PackageRecord, recordPaths } from "./record.ts";

export interface CutOfRecord {
  readonly record: PackageRecord;
  /** 0 is the fine cut; n is the nth of `coarser`. */
  readonly level: number;
}

/** A bundle of any cut. */
export interface CutBundle {
  /** Bundles of the same paths share it, whichever part they are of. */
  readonly key: string;
  readonly storePaths: readonly StorePath[];
  readonly popularity: number;
  readonly holdsView: boolean;
  /** Null while nobody has needed it: the origin must join it first. */
  readonly layer: LayerRecord | null;
}

/** What an image is made of. */
export interface ChosenCuts {
  readonly cuts: readonly CutOfRecord[];
  /** Bundles without views, each once, whichever parts have it. */
  readonly bundles: readonly CutBundle[];
  /** Bundles with views, in the order of the parts. */
  readonly views: readonly ViewBundle[];
}

export interface ViewBundle {
  readonly part: Part;
  readonly bundle: CutBundle;
}

export function bundlesOf({ record, level }: CutOfRecord): readonly CutBundle[] {
  if (level === 0) {
    return record.bundles.map(({ storePaths, popularity, holdsView, ...layer }) => ({
      ...{ key: storePaths.join(" "), storePaths, popularity, holdsView, layer },
    }));
  }
  const paths = recordPaths(record);
  return (record.coarser[level - 1] ?? []).map(({ members, ...bundle }) => {
    const storePaths = members.flatMap((place) => paths[place] ?? []);
    return { key: storePaths.join(" "), storePaths, ...bundle };
  });
}

/**
 * Fine cuts while their layers are within the budget. Else the part with the most bundles goes one cut
 * coarser, and again, until all fit or nothing is left to coarsen: whoever has the same records
 * chooses the same.
 */
export function chooseCuts(records: readonly PackageRecord[], budget: number): ChosenCuts {
  const cuts = records.map((record): CutWithBundles => withBundles({ record, level: 0 }));
  for (;;) {
    const { bundles, views } = combine(cuts);
    const [largest] = cuts
      .filter(({ cut }) => cut.level < cut.record.coarser.length)
      .sort((a, b) => b.bundles.length - a.bundles.length || orderOfParts(a, b));
    if (bundles.length + views.length <= budget || largest === undefined) {
      return { cuts: cuts.map(({ cut }) => cut), bundles, views };
    }
    const { record, level } = largest.cut;
    cuts[cuts.indexOf(largest)] = withBundles({ record, level: level + 1 });
  }
}

interface CutWithBundles {
  readonly cut: CutOfRecord;
  readonly bundles: readonly CutBundle[];
}

function withBundles(cut: CutOfRecord): CutWithBundles {
  return { cut, bundles: bundlesOf(cut) };
}

/**
 * A bundle of the same paths is needed once, and not at all where those that hold views, which an image
 * needs anyway, have all of its paths.
 */
function combine(cuts: readonly CutWithBundles[]): Omit<ChosenCuts, "cuts"> {
  const views = cuts.flatMap(({ cut, bundles }) =>
    bundles.filter(({ holdsView }) => holdsView).map((bundle) => ({ part: cut.record, bundle })),
  );
  const held = new Set(views.flatMap(({ bundle }) => bundle.storePaths));
  const distinct = new Map<string, CutBundle>();
  for (const bundle of cuts.flatMap(({ bundles }) => bundles)) {
    const { key } = bundle;
    if (bundle.storePaths.every((path) => held.has(path))) continue;
    const known = distinct.get(key);
    // One bundle may be cut with two popularities only while the popularity data is replaced.
    if (known === undefined || known.popularity < bundle.popularity) distinct.set(key, bundle);
  }
  return { bundles: [...distinct.values()], views };
}

function orderOfParts(a: CutWithBundles, b: CutWithBundles): number {
  return partName(a.cut.record) < partName(b.cut.record) ? -1 : 1;
}
