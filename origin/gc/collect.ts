// One run of the collector: what is there, what is kept of it, what goes.

import { NotTold } from "../fsck/finding.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { COLLECTIONS, type Collection, type StorageKey } from "../storage/keys.ts";
import { type Held, type Inventory, takeInventory } from "./inventory.ts";
import { type ImageCounts, type Marked, mark } from "./mark.ts";
import type { Rules } from "./rules.ts";
import { sweep } from "./sweep.ts";
import {
  type SweepEdgeOptions,
  type SweptEdge,
  type SweptFolders,
  sweepEdge,
} from "./sweep-edge.ts";

export interface CollectOptions {
  readonly store: BlobStore;
  readonly rules: Rules;
  /** Null where there is none, or none is to be asked. */
  readonly edge: SweptEdge | null;
  /** Nothing is removed. */
  readonly isDryRun: boolean;
  /** As often as one likes. */
  readonly onSwept: (done: number, of: number) => void;
  readonly signal: AbortSignal;
}

/** The names of the fields are those of `--json`, and stay. */
export interface Collected {
  readonly collections: Readonly<Record<Collection, CollectedValues>>;
  readonly images: ImageCounts;
  /** Before and after. */
  readonly bytes: { readonly before: number; readonly after: number };
  /** What goes at the edge; or why that did not tell. */
  readonly edge: { readonly folders: SweptFolders } | { readonly notTold: string } | null;
}

export interface CollectedValues {
  readonly kept: Counted;
  /** By reason: nobody needs it; or somebody does, and there is no room. */
  readonly unneeded: Counted;
  readonly overLimit: Counted;
}

export interface Counted {
  readonly values: number;
  readonly bytes: number;
}

export async function collect(options: CollectOptions): Promise<Collected> {
  const { store, isDryRun, signal } = options;
  const inventory = await takeInventory(store, signal);
  const marked = await mark({ ...options, edgeUrl: options.edge?.url ?? null, inventory });
  const gone = isDryRun
    ? new Set([...inventory.keys()].filter((key) => !marked.kept.has(key)))
    : await sweep({ ...options, inventory, kept: marked.kept });
  const { answers } = marked;
  const edge =
    options.edge && (await atEdge({ ...options, edge: options.edge, inventory, gone, answers }));
  return { ...report(inventory, marked, gone), edge };
}

/** What it was not told to let go it lets go the next time. */
async function atEdge(options: SweepEdgeOptions): Promise<NonNullable<Collected["edge"]>> {
  try {
    return { folders: await sweepEdge(options) };
  } catch (error) {
    if (!(error instanceof NotTold)) throw error;
    return { notTold: error.message };
  }
}

function report(
  inventory: Inventory,
  marked: Marked,
  gone: ReadonlySet<StorageKey>,
): Omit<Collected, "edge"> {
  const values = [...inventory.values()];
  const after = values.filter(({ key }) => !gone.has(key));
  const countIn = (collection: Collection): CollectedValues => {
    const own = values.filter(({ of }) => of.collection === collection);
    const goes = own.filter(({ key }) => gone.has(key));
    const isOver = ({ key }: Held) => marked.overLimit.has(key);
    return {
      kept: counted(own.filter(({ key }) => !gone.has(key))),
      unneeded: counted(goes.filter((held) => !isOver(held))),
      overLimit: counted(goes.filter(isOver)),
    };
  };
  const collections = Object.fromEntries(
    COLLECTIONS.map((each) => [each, countIn(each)]),
  ) as Record<Collection, CollectedValues>;
  return {
    ...{ collections, images: marked.images },
    bytes: { before: counted(values).bytes, after: counted(after).bytes },
  };
}

function counted(held: readonly Held[]): Counted {
  return {
    values: held.length,
    bytes: held.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}
