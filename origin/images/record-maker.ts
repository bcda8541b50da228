// One valid output path to its record: cuts the closure into bundles, draws the view, and has every
// layer made before anything names it. Also makes what was not needed at first, or was lost.

import type { Packing } from "../../registry/pin.ts";
import {
  type BundleRecord,
  type CoarseBundle,
  type Form,
  type LayerRecord,
  type PackageRecord,
  type PackingId,
  parsePackingId,
  recordPaths,
} from "../../registry/record.ts";
import type { StorePath } from "../../registry/store-path.ts";
import { BASE_ENTRIES } from "../layers/base.ts";
import { type Bundle, CUT_VERSION, cutLevels } from "../layers/bundles.ts";
import type { ClosureGraph } from "../layers/closure.ts";
import { packerId } from "../layers/compression.ts";
import type { Popularity } from "../layers/popularity.ts";
import { UnpackableError } from "../layers/tar.ts";
import { type PackageView, readView, type ViewResult } from "../layers/view.ts";
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
    bundles: readonly Pick<Bundle, "storePaths" | "holdsView">[],
    { storePath, closure, view, form }: Contents,
  ): Promise<readonly LayerRecord[]> {
    const sizes = new Map(closure.map(({ path, narSizeBytes }) => [path, narSizeBytes]));
    const ownView = view === null ? null : { of: storePath, entries: view };
    return Promise.all(
      bundles.map(({ storePaths, holdsView }) => {
        const sizeBytes = storePaths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
        const bundle = { storePaths, view: holdsView ? ownView : null };
        return layers.bundle({ ...bundle, form, sizeBytes, group: storePath });
      }),
    );
  }

  function storeView({ storePath, view, form }: Contents): Promise<LayerRecord | null> {
    if (view === null) return Promise.resolve(null);
    return layers.entries({ kind: "view", form, storePath }, view);
  }

  function storeLink({ form, path, target }: Extract<Making, { kind: "link" }>) {
    const making = { kind: "link", form, path, target } as const;
    return layers.entries(making, [{ kind: "link", path: path.slice(1), target }]);
  }

  const storeBase = (form: Form) => layers.entries({ kind: "base", form }, BASE_ENTRIES);

  async function fill(view: PackageView, contents: Contents): Promise<PackageRecord> {
    const { storePath, closure, form } = contents;
    const hasView = contents.view !== null;
    const [fine = [], ...coarser] = cutLevels(closure, storePath, popularity, hasView);
    const packed = await packBundles(fine, contents);
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
    const isViewHeld = bundles.some(({ holdsView }) => holdsView);
    return {
      ...{ storePath, form, packing: packingIds[form], bundles },
      coarser: planCoarser(bundles, coarser),
      view: isViewHeld ? null : await storeView(contents),
      ...{ provides, fallbacks, program },
    };
  }

  return {
    async make(graph, storePath, form) {
      const closure = closureOf(graph, storePath);
      const result = viewOf(storePath, closure);
      if (result.kind === "too-large") return { kind: "unpackable", reason: result.reason };
      const { view } = result;
      try {
        const contents = { storePath, closure, view: view.entries, form };
        return { kind: "record", record: await fill(view, contents) };
      } catch (error) {
        if (!(error instanceof UnpackableError)) throw error;
        return { kind: "unpackable", reason: error.message };
      }
    },

    async coarsen(record, level) {
      const { storePath, form } = record;
      const paths = recordPaths(record);
      const cut = record.coarser[level - 1] ?? [];
      const bundles = cut.map(({ members, holdsView }) => ({
        holdsView,
        storePaths: members.flatMap((place) => paths[place] ?? []),
      }));
      const view = bundles.some(({ holdsView }) => holdsView) ? readView(storePath, paths) : null;
      const entries = view?.kind === "view" ? view.view.entries : null;
      const packed = await packBundles(bundles, { storePath, closure: [], view: entries, form });
      const filled = cut.map((bundle, index) => ({ ...bundle, layer: packed[index] ?? null }));
      return { ...record, coarser: record.coarser.with(level - 1, filled) };
    },

    async remake(making, graph) {
      const { form } = making;
      switch (making.kind) {
        case "bundle": {
          const { storePaths, viewOf: owner } = making;
          const contents = contentsOf(owner ?? storePaths[0], graph, owner !== null, form);
          if (contents === undefined) return undefined;
          const holdsView = owner !== null;
          return (await packBundles([{ storePaths, holdsView }], contents))[0];
        }
        case "view": {
          const contents = contentsOf(making.storePath, graph, true, form);
          return contents && ((await storeView(contents)) ?? undefined);
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

/** A package's closure and links, and the form in which they are packed. */
interface Contents {
  readonly storePath: StorePath;
  readonly closure: ClosureGraph;
  readonly view: PackageView["entries"];
  readonly form: Form;
}

/** Undefined where there is nothing to show any more. */
function contentsOf(
  storePath: StorePath | undefined,
  graph: ClosureGraph,
  withView: boolean,
  form: Form,
): Contents | undefined {
  if (storePath === undefined) return undefined;
  if (!withView) return { storePath, closure: graph, view: null, form };
  const result = viewOf(storePath, closureOf(graph, storePath));
  if (result.kind === "too-large") return undefined;
  return { storePath, closure: graph, view: result.view.entries, form };
}

function viewOf(storePath: StorePath, closure: ClosureGraph): ViewResult {
  return readView(
    storePath,
    closure.map(({ path }) => path),
  );
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
      bundles.map(({ storePaths, ...bundle }) => ({
        members: storePaths.flatMap((path) => places.get(path) ?? []),
        ...bundle,
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
