// One part whose outputs are valid to its record: cuts the closure into bundles, draws the view, and
// has every layer made before anything names it. Also makes what was not needed at first, or was lost.

import { type Part, partName } from "../../registry/image/part.ts";
import {
  type BundleRecord,
  type CoarseBundle,
  type Form,
  type LayerRecord,
  type Link,
  type LinksRecord,
  type PackageRecord,
  type PackingId,
  parsePackingId,
  recordPaths,
} from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { GROUND_ID } from "../layers/base.ts";
import { type Bundle, CUT_VERSION, cutLevels } from "../layers/bundles.ts";
import type { ClosureGraph, ValidClosure } from "../layers/closure.ts";
import { packerId } from "../layers/compression.ts";
import type { DrawnView, DrawResult, DrawView } from "../layers/draw-view.ts";
import { databaseId } from "../layers/nix-database.ts";
import type { Popularity } from "../layers/popularity.ts";
import { UnpackableError } from "../layers/tar.ts";
import type { Making, PackedLayers } from "./packed-layers.ts";
import { createPackingCount, type PackingCount } from "./packing-count.ts";

export type MadeRecord =
  | { readonly kind: "record"; readonly record: PackageRecord }
  /** Its files cannot be in an image, whoever asks. */
  | { readonly kind: "unpackable"; readonly reason: string };

/** All store paths must be valid and held while a call is under way. */
export interface RecordMaker {
  /** `graph` holds the closure of the part's outputs, and may hold more. */
  make(graph: ValidClosure, part: Part, form: Form, count?: PackingCount): Promise<MadeRecord>;
  /** The record with the layers of one coarser cut, joined from the segments of the fine ones. */
  coarsen(record: PackageRecord, level: number): Promise<PackageRecord>;
  /** Makes a layer again; `graph` holds the closure of what it is made of. */
  remake(making: Making, graph: ValidClosure): Promise<LayerRecord | undefined>;
  /** How layers are made now. */
  readonly packings: Readonly<Record<Form, PackingId>>;
}

export interface RecordMakerOptions {
  readonly layers: PackedLayers;
  readonly popularity: Popularity;
  readonly draw: DrawView;
}

export function createRecordMaker(options: RecordMakerOptions): RecordMaker {
  const { layers, popularity, draw } = options;
  const viewOf = (part: Part, closure: ValidClosure): Promise<DrawResult> => {
    const database = part.kind === "database" ? closure : null;
    return draw({ part, closure: pathsOf(closure), database });
  };
  const packings: Readonly<Record<Form, PackingId>> = {
    zstd: packingId("zstd", popularity),
    gzip: packingId("gzip", popularity),
  };

  function packBundles(
    bundles: readonly Pick<Bundle, "storePaths" | "holdsView">[],
    { part, closure, view, form, count }: Contents,
  ): Promise<readonly LayerRecord[]> {
    const sizes = new Map(closure.map(({ path, narSizeBytes }) => [path, narSizeBytes]));
    const ownView = view === null ? null : { of: part, tar: view };
    return Promise.all(
      bundles.map(async ({ storePaths, holdsView }) => {
        const sizeBytes = storePaths.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0);
        const bundle = { storePaths, view: holdsView ? ownView : null };
        const { packed: onPacked, stored } = count.expect(sizeBytes);
        const group = partName(part);
        const layer = await layers.bundle({ ...bundle, form, sizeBytes, group, onPacked });
        stored();
        return layer;
      }),
    );
  }

  async function fill(view: DrawnView, contents: Contents): Promise<PackageRecord> {
    const { part, closure, form } = contents;
    const hasView = contents.view !== null;
    const [fine = [], ...coarser] = cutLevels(closure, part, popularity, hasView);
    const packed = await packBundles(fine, contents);
    const bundles = fine.flatMap((bundle, index) => {
      const layer = packed[index];
      return layer === undefined ? [] : [{ ...layer, ...bundle }];
    });
    const { provides, program, locale, modules } = view;
    const fallback = await packLinks(view.fallbacks, form);
    const above = await packLinks(view.above, form);
    return {
      ...{ ...part, form, packing: packings[form], bundles },
      coarser: planCoarser(bundles, coarser),
      ...{ provides, fallback, above, program, locale, modules },
    };
  }

  async function packLinks<Each extends Link>(
    links: readonly Each[],
    form: Form,
  ): Promise<LinksRecord<Each> | null> {
    if (links.length === 0) return null;
    return { links, layer: await layers.links({ kind: "links", form, links }) };
  }

  return {
    packings,

    async make(graph, part, form, count = createPackingCount()) {
      const closure = closureOf(graph, part.outputs);
      try {
        const result = await viewOf(part, closure);
        if (result.kind === "unfit") return { kind: "unpackable", reason: result.reason };
        const { view } = result;
        const contents = { part, closure, view: view.tar, form, count };
        return { kind: "record", record: await fill(view, contents) };
      } catch (error) {
        if (!(error instanceof UnpackableError)) throw error;
        return { kind: "unpackable", reason: error.message };
      }
    },

    async coarsen(record, level) {
      const { kind, outputs, form } = record;
      const part = { kind, outputs };
      const paths = recordPaths(record);
      const cut = record.coarser[level - 1] ?? [];
      const bundles = cut.map(({ members, holdsView }) => ({
        holdsView,
        storePaths: members.flatMap((place) => paths[place] ?? []),
      }));
      const view = bundles.some(({ holdsView }) => holdsView)
        ? await draw({ part, closure: paths, database: null })
        : null;
      const tar = view?.kind === "view" ? view.view.tar : null;
      const packed = await packBundles(bundles, {
        ...{ part, closure: [], view: tar, form, count: createPackingCount() },
      });
      const filled = cut.map((bundle, index) => ({ ...bundle, layer: packed[index] ?? null }));
      return { ...record, coarser: record.coarser.with(level - 1, filled) };
    },

    async remake(making, graph) {
      const { form } = making;
      switch (making.kind) {
        case "bundle": {
          const { storePaths, viewOf: owner } = making;
          const contents = await contentsOf(owner, graph, form, viewOf);
          if (contents === undefined) return undefined;
          const holdsView = owner !== null;
          return (await packBundles([{ storePaths, holdsView }], contents))[0];
        }
        case "links":
          return await layers.links(making);
        default:
          return making satisfies never;
      }
    },
  };
}

/** A part's closure and links, and the form in which they are packed. */
interface Contents {
  readonly part: Part;
  readonly closure: ClosureGraph;
  readonly view: DrawnView["tar"];
  readonly form: Form;
  /** Hears of its layers. */
  readonly count: PackingCount;
}

/** For a layer with the view of its owner, if it has one; undefined where that cannot be shown. */
async function contentsOf(
  owner: Part | null,
  graph: ValidClosure,
  form: Form,
  viewOf: (part: Part, closure: ValidClosure) => Promise<DrawResult>,
): Promise<Contents | undefined> {
  const count = createPackingCount();
  if (owner === null) return { part: NO_PART, closure: graph, view: null, form, count };
  const result = await viewOf(owner, closureOf(graph, owner.outputs));
  if (result.kind === "unfit") return undefined;
  return { part: owner, closure: graph, view: result.view.tar, form, count };
}

/** Of layers that are made again without knowing whose they were. */
const NO_PART: Part = { kind: "package", outputs: [] };

function pathsOf(closure: ClosureGraph): readonly StorePath[] {
  return closure.map(({ path }) => path);
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
  const surroundings = `g${GROUND_ID}.d${databaseId()}`;
  const id = parsePackingId(`${packerId(form)}.c${CUT_VERSION}.${surroundings}.${popularity.id}`);
  if (id === undefined) throw new Error(`${packerId(form)} makes no packing id`);
  return id;
}

/** What of a graph some paths reach, in the graph's order. */
function closureOf(graph: ValidClosure, roots: readonly StorePath[]): ValidClosure {
  const byPath = new Map(graph.map((node) => [node.path, node]));
  const reached = new Set(roots);
  // A Set is walked in the order of insertion, and what is added during the walk is walked too.
  for (const path of reached) {
    for (const reference of byPath.get(path)?.references ?? []) reached.add(reference);
  }
  return graph.filter(({ path }) => reached.has(path));
}
