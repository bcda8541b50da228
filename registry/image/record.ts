// What one part contributes to any image that holds it. A record never depends on the other parts of
// an image nor on the pin that led to it: that is what lets the edge compose.

import * as v from "valibot";
import { type Digest, parseDigest } from "../naming/digest.ts";
import type { StorePath } from "../naming/store-path.ts";
import { storePathSchema } from "./lookup.ts";
import { PART_KINDS, type Part } from "./part.ts";

/** How the bytes of a layer are compressed. A gzip and a zstd layer of one bundle share a diffId. */
export const FORMS = ["zstd", "gzip"] as const;
export type Form = (typeof FORMS)[number];

export interface LayerRecord {
  readonly digest: Digest;
  readonly diffId: Digest;
  readonly sizeBytes: number;
}

/** A layer made of whole store paths, of a view, or of both. */
export interface BundleRecord extends LayerRecord {
  readonly storePaths: readonly StorePath[];
  /** The popularity of its most popular path: compose puts what most images share at the bottom. */
  readonly popularity: number;
  /** Whether the part's links lie in it. */
  readonly holdsView: boolean;
}

/**
 * A larger layer for the same closure, taken when an image would have too many. Joined from stored
 * segments when an image first needs it, and from then on shared like any other.
 */
export interface CoarseBundle {
  /** Places in `recordPaths`, which keeps a record of hundreds of paths small. */
  readonly members: readonly number[];
  readonly popularity: number;
  readonly holdsView: boolean;
  readonly layer: LayerRecord | null;
}

/** Paths outside the store that programs expect, and that an image has when something provides them. */
export const WELL_KNOWN_PATHS = ["/bin/sh", "/usr/bin/env"] as const;
export type WellKnownPath = (typeof WELL_KNOWN_PATHS)[number];

/** From an absolute path in the image. */
export interface Link {
  readonly path: string;
  readonly target: string;
}

export interface FallbackLink extends Link {
  readonly path: WellKnownPath;
}

/** A layer of links, and nothing else. */
export interface LinksRecord<Each extends Link = Link> {
  readonly links: readonly Each[];
  readonly layer: LayerRecord;
}

/** What the C library of a closure finds, and what programs must be told for it. */
export interface LocaleFacts {
  /** C.UTF-8 is there. */
  readonly hasUtf8: boolean;
  /** Time zones are shown. */
  readonly hasZones: boolean;
  /** Not in /usr/share/zoneinfo, unless `TZDIR` says so. */
  readonly looksElsewhereForZones: boolean;
}

/** Interpreters that find modules named beside them, each once it is told by a variable. */
export const MODULE_KINDS = ["perl", "python"] as const;
export type ModuleKind = (typeof MODULE_KINDS)[number];

export interface PackageRecord extends Part {
  readonly form: Form;
  readonly packing: PackingId;
  /**
   * Bottom first. Every path of the closure is in at least one. One holds the view, unless there is
   * nothing to link, as with a single file.
   */
  readonly bundles: readonly BundleRecord[];
  /** Other cuts of the whole closure, each of fewer bundles than the one before. */
  readonly coarser: readonly (readonly CoarseBundle[])[];
  /** What the view has of these. */
  readonly provides: readonly (WellKnownPath | "/bin/bash")[];
  /**
   * To what the closure has and the view lacks, used below all views when none has one of them: programs
   * such as git start `/bin/sh` although only their closure holds a shell.
   */
  readonly fallback: LinksRecord<FallbackLink> | null;
  /** Above all views: what `fhs` puts where programs that Nix did not build look. */
  readonly above: LinksRecord | null;
  /** The program in `bin/` that a user most likely wants, where the package set does not say. */
  readonly program: string | null;
  readonly locale: LocaleFacts;
  /** Of which interpreters the view has modules. */
  readonly modules: readonly ModuleKind[];
}

declare const packingBrand: unique symbol;
/**
 * Names everything that changes the bytes or the grouping of layers: packer, compressor and its
 * version, level, chunk size, the ground, and the popularity data. Records of different packings never mix.
 */
export type PackingId = string & { readonly [packingBrand]: "PackingId" };

const PACKING_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,191}$/;

export function parsePackingId(text: string): PackingId | undefined {
  return PACKING_ID.test(text) ? (text as PackingId) : undefined;
}

/**
 * The blob that holds the popularity data of a packing, which whoever makes the same layers needs
 * too; null for a packing without data.
 */
export function popularityBlob(packing: PackingId): Digest | null {
  const last = packing.split(".").at(-1);
  return parseDigest(`sha256:${last}`) ?? null;
}

export const digestSchema: v.GenericSchema<string, Digest> = v.pipe(
  v.string(),
  v.rawTransform<string, Digest>(({ dataset, addIssue, NEVER }) => {
    const digest = parseDigest(dataset.value);
    if (digest !== undefined) return digest;
    addIssue({ message: "not a sha256 digest" });
    return NEVER;
  }),
);

export const packingIdSchema: v.GenericSchema<string, PackingId> = v.pipe(
  v.string(),
  v.rawTransform<string, PackingId>(({ dataset, addIssue, NEVER }) => {
    const id = parsePackingId(dataset.value);
    if (id !== undefined) return id;
    addIssue({ message: "not a packing id" });
    return NEVER;
  }),
);

const sizeSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const layerEntries = { digest: digestSchema, diffId: digestSchema, sizeBytes: sizeSchema };
export const layerRecordSchema: v.GenericSchema<unknown, LayerRecord> = v.object(layerEntries);

export const linkSchema: v.GenericSchema<unknown, Link> = v.object({
  path: v.pipe(v.string(), v.startsWith("/")),
  target: v.string(),
});
const fallbackLinkSchema: v.GenericSchema<unknown, FallbackLink> = v.object({
  path: v.picklist(WELL_KNOWN_PATHS),
  target: v.string(),
});

const partEntries = { kind: v.picklist(PART_KINDS), outputs: v.array(storePathSchema) };
export const partSchema: v.GenericSchema<unknown, Part> = v.object(partEntries);

const recordFields = v.object({
  ...partEntries,
  form: v.picklist(FORMS),
  packing: packingIdSchema,
  bundles: v.array(
    v.object({
      ...layerEntries,
      storePaths: v.array(storePathSchema),
      popularity: sizeSchema,
      holdsView: v.boolean(),
    }),
  ),
  coarser: v.array(
    v.array(
      v.object({
        members: v.array(sizeSchema),
        popularity: sizeSchema,
        holdsView: v.boolean(),
        layer: v.nullable(layerRecordSchema),
      }),
    ),
  ),
  provides: v.array(v.picklist([...WELL_KNOWN_PATHS, "/bin/bash"])),
  fallback: v.nullable(v.object({ links: v.array(fallbackLinkSchema), layer: layerRecordSchema })),
  above: v.nullable(v.object({ links: v.array(linkSchema), layer: layerRecordSchema })),
  program: v.nullable(v.string()),
  locale: v.object({
    hasUtf8: v.boolean(),
    hasZones: v.boolean(),
    looksElsewhereForZones: v.boolean(),
  }),
  modules: v.array(v.picklist(MODULE_KINDS)),
});

export const packageRecordSchema: v.GenericSchema<unknown, PackageRecord> = v.pipe(
  recordFields,
  v.check((record) => {
    const paths = recordPaths(record).length;
    return record.coarser.flat(2).every(({ members }) => members.every((place) => place < paths));
  }, "a coarser bundle names a path that the record does not have"),
);

export function parsePackageRecord(json: unknown): PackageRecord | undefined {
  const parsed = v.safeParse(packageRecordSchema, json);
  return parsed.success ? parsed.output : undefined;
}

/** Every path of the closure once, in the order in which `members` count them. */
export function recordPaths(record: Pick<PackageRecord, "bundles">): readonly StorePath[] {
  return [...new Set(record.bundles.flatMap((bundle) => bundle.storePaths))];
}

/** Every layer a record names: what must be stored before the record may be. */
export function recordLayers(record: PackageRecord): readonly LayerRecord[] {
  return [
    ...record.bundles,
    ...record.coarser.flatMap((cut) => cut.flatMap(({ layer }) => layer ?? [])),
    ...[record.fallback, record.above].flatMap((links) => links?.layer ?? []),
  ];
}
