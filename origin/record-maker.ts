// One valid output path to its record: cuts the closure into bundles, draws the view, and has every
// layer made before anything names it. Also makes what was not needed at first, or was lost.

import type { Packing } from "../registry/pin.ts";
import {
  type BundleRecord,
  type CoarseBundle,
  type Form,
  type LayerRecord,
  type PackageRecord,
  type PackingId,
  parsePackingId,
  recordPaths,
} from "../registry/record.ts";
import type { StorePath } from "../registry/store-path.ts";
import { BASE_ENTRIES } from "./layers/base.ts";
import { type Bundle, CUT_VERSION, cutLevels } from "./layers/bundles.ts";
import type { ClosureGraph } from "./layers/closure.ts";
import { packerId } from "./layers/compression.ts";
import type { Popularity } from "./layers/popularity.ts";
import { UnpackableError } from "./layers/tar.ts";
import { type PackageView, readView } from "./layers/view.ts";
import type { Making, PackedLayers } from "./packed-layers.ts";

export type MadeRecord =
  | { readonly kind: "record"; readonly record: PackageRecord }
  /** Its files cannot be in an image, whoever asks. */
  | { readonly kind: "unpackable"; readonly reason: string };

/** All store paths must be valid and held while a call is under way. */
export interface RecordMaker {
  /** `graph` holds the closure of `storePath`, and may hold more. */
  make(graph: ClosureGraph, storePath: StorePath, form: Form): Promise<MadeRecord>;
  /** The record with the layers of one coarser cut, joined from the segments of the fine ones. */
  coarsen(record: PackageRecord, level: number): Promise<PackageRecord>;
  /** Makes a layer again; `graph` holds the closure of what it is made of. */
  remake(making: Making, graph: ClosureGraph): Promise<LayerRecord | undefined>;
  /** How layers are made now; the base layer is stored. */
  packing(form: Form): Promise<Packing>;
}

export interface RecordMakerOptions {
  readonly layers: PackedLayers;
  readonly popularity: Popularity;
}

export function createRecordMaker({ layers, popularity }: RecordMakerOptions): RecordMaker {
  const packingIds: Readonly<Record<Form, PackingId>> = {
    zstd: packingId("zstd", popularity),
    gzip: packingId("gzip", popularity),
  };

  function packBundles(
    bundles: readonly Pick<Bundle, "storePaths">[],
    closure: ClosureGraph,
    group: StorePath,
    form: Form,
  ): Promise<readonly LayerRecord[]> {
    const sizes = new Map(closure.map(({ path, narSizeBytes }) => [path, narSizeBytes]));
    return Promise.all(
      bundles.map(({ storePaths }) => {
        const sizeBytes = storePaths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
        return layers.bundle({ storePaths, form, sizeBytes, group });
      }),
    );
  }

  async function storeView(
    { entries }: PackageView,
    storePath: StorePath,
    form: Form,
  ): Promise<LayerRecord | null> {
    return entries === null ? null : layers.entries({ kind: "view", form, storePath }, entries);
  }

  function storeLink({ form, path, target }: Extract<Making, { kind: "link" }>) {
    const making = { kind: "link", form, path, target } as const;
    return layers.entries(making, [{ kind: "link", path: path.slice(1), target }]);
  }

  const storeBase = (form: Form) => layers.entries({ kind: "base", form }, BASE_ENTRIES);

  async function fill(
    view: PackageView,
    closure: ClosureGraph,
    storePath: StorePath,
    form: Form,
  ): Promise<PackageRecord> {
    const [fine = [], ...coarser] = cutLevels(closure, storePath, popularity);
    const packed = await packBundles(fine, closure, storePath, form);
    const bundles = fine.flatMap((bundle, index) => {
      const layer = packed[index];
      return layer === undefined ? [] : [{ ...layer, ...bundle }];
    });
    const fallbacks = [];
    for (const { path, target } of view.fallbacks) {
      fallbacks.push({
        path,
        target,
        layer: await storeLink({ kind: "link", form, path, target }),
      });
    }
    const { provides, program } = view;
    return {
      ...{ storePath, form, packing: packingIds[form], bundles },
      coarser: planCoarser(bundles, coarser),
      view: await storeView(view, storePath, form),
      ...{ provides, fallbacks, program },
    };
  }

  return {
    async make(graph, storePath, form) {
      const closure = closureOf(graph, storePath);
      const paths = closure.map(({ path }) => path);
      const result = readView(storePath, paths);
      if (result.kind === "too-large") return { kind: "unpackable", reason: result.reason };
      try {
        return { kind: "record", record: await fill(result.view, closure, storePath, form) };
      } catch (error) {
        if (!(error instanceof UnpackableError)) throw error;
        return { kind: "unpackable", reason: error.message };
      }
    },

    async coarsen(record, level) {
      const paths = recordPaths(record);
      const cut = record.coarser[level - 1] ?? [];
      const bundles = cut.map(({ members }) => ({
        storePaths: members.flatMap((place) => paths[place] ?? []),
      }));
      const packed = await packBundles(bundles, [], record.storePath, record.form);
      const filled = cut.map((bundle, index) => ({ ...bundle, layer: packed[index] ?? null }));
      return { ...record, coarser: record.coarser.with(level - 1, filled) };
    },

    async remake(making, graph) {
      const { form } = making;
      switch (making.kind) {
        case "bundle":
          return (await packBundles([making], graph, "" as StorePath, form))[0];
        case "view": {
          const { storePath } = making;
          const result = readView(
            storePath,
            closureOf(graph, storePath).map(({ path }) => path),
          );
          if (result.kind !== "view") return undefined;
          return (await storeView(result.view, storePath, form)) ?? undefined;
        }
        case "link":
          return storeLink(making);
        case "base":
          return storeBase(form);
        default:
          return making satisfies never;
      }
    },

    async packing(form) {
      return { id: packingIds[form], base: await storeBase(form) };
    },
  };
}

/** Cuts that are not coarser than the one before them would only make the record larger. */
function planCoarser(
  fine: readonly BundleRecord[],
  cuts: readonly (readonly Bundle[])[],
): readonly (readonly CoarseBundle[])[] {
  const places = new Map(recordPaths({ bundles: fine }).map((path, place) => [path, place]));
  return cuts
    .filter((bundles, level) => bundles.length < (cuts[level - 1] ?? fine).length)
    .map((bundles) =>
      bundles.map(({ storePaths, popularity }) => ({
        members: storePaths.flatMap((path) => places.get(path) ?? []),
        popularity,
        layer: null,
      })),
    );
}

function packingId(form: Form, popularity: Popularity): PackingId {
  const id = parsePackingId(`${packerId(form)}.c${CUT_VERSION}.${popularity.id}`);
  if (id === undefined) throw new Error(`${packerId(form)} makes no packing id`);
  return id;
}

/** The part of a graph that one path reaches, in the graph's order. */
function closureOf(graph: ClosureGraph, root: StorePath): ClosureGraph {
  const byPath = new Map(graph.map((node) => [node.path, node]));
  const reached = new Set<StorePath>([root]);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const path of reached) {
    for (const reference of byPath.get(path)?.references ?? []) reached.add(reference);
  }
  return graph.filter(({ path }) => reached.has(path));
}
