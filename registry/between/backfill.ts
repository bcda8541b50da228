// What the origin sends to the edge's ingest routes: the bodies, in the order in which they must
// arrive. Blobs and manifests travel as their own bytes; these are the rest.

import * as v from "valibot";
import { omittedSchema } from "../image/image-index.ts";
import { type Found, foundSchema, outputPathsOf } from "../image/lookup.ts";
import { outputsBrought } from "../image/part.ts";
import {
  digestSchema,
  type PackageRecord,
  type PackingId,
  packageRecordSchema,
  packingIdSchema,
  popularityBlob,
  recordLayers,
} from "../image/record.ts";
import { VARIANTS, type Variant } from "../image/variant.ts";
import type { Digest } from "../naming/digest.ts";
import { type Pin, pinSchema } from "../naming/pin.ts";
import { MAX_NAME_LENGTH, type PackageName, SYSTEMS, type System } from "../naming/recipe.ts";
import { parseTag, type Tag } from "../naming/reference.ts";
import { type TagPins, tagPinsSchema } from "./tag-pins.ts";

export interface RecordsBody {
  readonly records: readonly PackageRecord[];
}

export interface LookupsBody {
  readonly pin: Pin;
  readonly system: System;
  readonly lookups: readonly { readonly name: PackageName; readonly found: Found }[];
}

/** Where a name and tag led at a moment, for one variant: a manifest or an index. */
export interface ImagePointer {
  /** In canonical spelling, with the platforms of an index. */
  readonly recipe: string;
  readonly tag: Tag;
  readonly variant: Variant;
  readonly digest: Digest;
  readonly pin: Pin;
  readonly packing: PackingId;
  readonly resolvedAtMs: number;
  /** The platforms that an index lacks, as the header says them. */
  readonly omitted: string | null;
}

export interface PointersBody {
  readonly tag: { readonly tag: Tag; readonly pins: TagPins } | null;
  readonly image: ImagePointer | null;
}

/** Enough for one package with all its outputs, or one image; keeps a body far below KV's 25 MiB. */
export const MAX_RECORDS_PER_BODY = 16;
export const MAX_LOOKUPS_PER_BODY = 128;
/**
 * Of KV and R2 for one body: a Worker of Cloudflare's free plan may make 50 in a request. What is one
 * record or lookup cannot be cut, and may take more.
 */
export const MAX_CALLS_PER_BODY = 48;

/** Each layer is looked for once, also the data that layers were cut by; each record is put, each output marked. */
export function callsForRecords(records: readonly PackageRecord[]): number {
  const layers = new Set(records.flatMap(recordLayers).map(({ digest }) => digest));
  const data = new Set(records.flatMap(({ packing }) => popularityBlob(packing) ?? []));
  const outputs = records.flatMap(outputsBrought);
  return layers.size + data.size + records.length + outputs.length;
}

/** Each output's mark is looked for once, each lookup is put. */
export function callsForLookups(lookups: LookupsBody["lookups"]): number {
  return new Set(lookups.flatMap(({ found }) => outputPathsOf(found))).size + lookups.length;
}

/** In their order, as many in each body as it may hold. */
export function cutBodies<Item>(
  items: readonly Item[],
  callsFor: (items: readonly Item[]) => number,
  maxItems: number,
): readonly (readonly Item[])[] {
  const bodies: Item[][] = [];
  for (const item of items) {
    const last = bodies.at(-1) ?? [];
    const isFull = last.length === maxItems || callsFor([...last, item]) > MAX_CALLS_PER_BODY;
    if (last.length === 0 || isFull) bodies.push([item]);
    else last.push(item);
  }
  return bodies;
}

export const packageNameSchema: v.GenericSchema<string, PackageName> = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/),
  v.maxLength(MAX_NAME_LENGTH),
  v.transform((text) => text as PackageName),
);

export const tagSchema: v.GenericSchema<string, Tag> = v.pipe(
  v.string(),
  v.rawTransform<string, Tag>(({ dataset, addIssue, NEVER }) => {
    const tag = parseTag(dataset.value);
    if (tag !== undefined) return tag;
    addIssue({ message: "not a tag" });
    return NEVER;
  }),
);

export const recordsBodySchema: v.GenericSchema<unknown, RecordsBody> = v.object({
  records: v.pipe(v.array(packageRecordSchema), v.maxLength(MAX_RECORDS_PER_BODY)),
});

export const lookupsBodySchema: v.GenericSchema<unknown, LookupsBody> = v.object({
  pin: pinSchema,
  system: v.picklist(SYSTEMS),
  lookups: v.pipe(
    v.array(v.object({ name: packageNameSchema, found: foundSchema })),
    v.maxLength(MAX_LOOKUPS_PER_BODY),
  ),
});

const imagePointerSchema: v.GenericSchema<unknown, ImagePointer> = v.object({
  recipe: v.pipe(v.string(), v.maxLength(2 * MAX_NAME_LENGTH)),
  tag: tagSchema,
  variant: v.picklist(VARIANTS),
  digest: digestSchema,
  pin: pinSchema,
  packing: packingIdSchema,
  resolvedAtMs: v.number(),
  omitted: v.nullable(omittedSchema),
});

export const pointersBodySchema: v.GenericSchema<unknown, PointersBody> = v.object({
  tag: v.nullable(v.object({ tag: tagSchema, pins: tagPinsSchema })),
  image: v.nullable(imagePointerSchema),
});
