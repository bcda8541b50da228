// What an outbox entry says of an image, an index or a package index: names and digests only. The bytes are read from
// the storage when they are sent, so an entry stays small and never goes stale.

import * as v from "valibot";
import { packageNameSchema, tagSchema } from "../../registry/between/backfill.ts";
import { canonicalImage } from "../../registry/http/platforms.ts";
import { omittedHeader } from "../../registry/image/image-index.ts";
import { type Part, partsOf } from "../../registry/image/part.ts";
import {
  digestSchema,
  type PackingId,
  packingIdSchema,
  partSchema,
} from "../../registry/image/record.ts";
import { VARIANTS, type Variant } from "../../registry/image/variant.ts";
import type { Digest } from "../../registry/naming/digest.ts";
import { type Pin, pinSchema } from "../../registry/naming/pin.ts";
import {
  canonicalRecipe,
  type PackageName,
  SYSTEMS,
  type System,
  systemOf,
} from "../../registry/naming/recipe.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { BuiltForPlatforms, PlatformBuild } from "../images/answer.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

export interface AnsweredImage {
  readonly tag: Tag;
  readonly variant: Variant;
  readonly answered: BuiltForPlatforms;
  /** Stored, and to be kept by the edge as well, which else gets what it is composed of. */
  readonly isKept: boolean;
}

export type OutboxEntry = ImageEntry | IndexEntry | PackageIndexEntry;

export interface ImageEntry {
  /** Canonical spelling. */
  readonly recipe: string;
  readonly system: System;
  readonly tag: Tag;
  readonly variant: Variant;
  readonly pin: Pin;
  readonly resolvedAtMs: number;
  readonly manifest: Digest;
  readonly config: Digest;
  readonly packing: PackingId;
  readonly isKept: boolean;
  readonly packages: readonly PackageName[];
  readonly parts: readonly Part[];
}

export interface IndexEntry {
  /** Canonical spelling, with the platforms. */
  readonly recipe: string;
  readonly tag: Tag;
  readonly variant: Variant;
  readonly pin: Pin;
  readonly resolvedAtMs: number;
  readonly index: Digest;
  readonly packing: PackingId;
  readonly isKept: boolean;
  /** The platforms left out, as the header says them. */
  readonly omitted: string | null;
  /** The images it names, which must be there before it. */
  readonly images: readonly ImageEntry[];
}

/** A package index at the pin of a tag, which is told the edge when it has all of the index. */
export interface PackageIndexEntry {
  readonly packageIndex: {
    readonly system: System;
    /** Tells it from one that was made before of the same pin. */
    readonly madeAtMs: number;
  };
  readonly tag: Tag;
  readonly pin: Pin;
  readonly resolvedAtMs: number;
}

/** An earlier version kept all that it answered. */
const isKeptSchema = v.optional(v.boolean(), true);

const imageEntrySchema: v.GenericSchema<unknown, ImageEntry> = v.object({
  recipe: v.string(),
  system: v.picklist(SYSTEMS),
  tag: tagSchema,
  variant: v.picklist(VARIANTS),
  pin: pinSchema,
  resolvedAtMs: v.number(),
  manifest: digestSchema,
  config: digestSchema,
  packing: packingIdSchema,
  isKept: isKeptSchema,
  packages: v.array(packageNameSchema),
  parts: v.array(partSchema),
});

const indexEntrySchema: v.GenericSchema<unknown, IndexEntry> = v.object({
  recipe: v.string(),
  tag: tagSchema,
  variant: v.picklist(VARIANTS),
  pin: pinSchema,
  resolvedAtMs: v.number(),
  index: digestSchema,
  packing: packingIdSchema,
  isKept: isKeptSchema,
  omitted: v.nullable(v.string()),
  images: v.pipe(v.array(imageEntrySchema), v.minLength(1)),
});

const packageIndexEntrySchema: v.GenericSchema<unknown, PackageIndexEntry> = v.object({
  packageIndex: v.object({ system: v.picklist(SYSTEMS), madeAtMs: v.number() }),
  tag: tagSchema,
  pin: pinSchema,
  resolvedAtMs: v.number(),
});

const entrySchema = v.union([imageEntrySchema, indexEntrySchema, packageIndexEntrySchema]);

/** Undefined for anything but a whole entry of this version. */
export function parseOutboxEntry(bytes: Uint8Array): OutboxEntry | undefined {
  const parsed = v.safeParse(entrySchema, parseStoredJson(bytes));
  return parsed.success ? parsed.output : undefined;
}

/** An older one of the same image or tag gives way to it. */
export function outboxKeyOf(entry: OutboxEntry): StorageKey {
  return "packageIndex" in entry
    ? storageKey.outboxIndex(entry.tag, entry.packageIndex.system)
    : storageKey.outbox(entry.recipe, entry.tag, entry.variant);
}

/** For the log. */
export function factsOf(entry: OutboxEntry): Readonly<Record<string, string>> {
  if (!("packageIndex" in entry)) return { recipe: entry.recipe };
  return { pin: entry.pin, system: entry.packageIndex.system };
}

export function entryOf({ tag, variant, answered, isKept }: AnsweredImage): OutboxEntry {
  const imageEntry = (build: PlatformBuild) => imageEntryOf(build, tag, variant, isKept);
  if (answered.kind === "image") return imageEntry(answered);
  const images = answered.images.map(imageEntry);
  const { pin, resolvedAtMs } = answered.pinned;
  return {
    recipe: canonicalImage(answered),
    tag,
    variant,
    pin,
    resolvedAtMs,
    index: answered.manifest.digest,
    packing: answered.packing,
    isKept,
    omitted: omittedHeader(answered.omitted) ?? null,
    images,
  };
}

function imageEntryOf(
  { recipe, built }: PlatformBuild,
  tag: Tag,
  variant: Variant,
  isKept: boolean,
): ImageEntry {
  return {
    recipe: canonicalRecipe(recipe),
    system: systemOf(recipe.architecture),
    tag,
    variant,
    pin: built.pinned.pin,
    resolvedAtMs: built.pinned.resolvedAtMs,
    manifest: built.image.manifest.digest,
    config: built.image.config.digest,
    packing: built.packing,
    isKept,
    packages: built.storedNames,
    parts: partsOf(built.ingredients),
  };
}

/** Whether a push of one would change nothing after a push of the other. */
export function sameAs(a: OutboxEntry, b: OutboxEntry): boolean {
  return contentOf(a) === contentOf(b) && a.pin === b.pin && a.resolvedAtMs === b.resolvedAtMs;
}

function contentOf(entry: OutboxEntry): string {
  if ("packageIndex" in entry) return String(entry.packageIndex.madeAtMs);
  const digest = "index" in entry ? entry.index : entry.manifest;
  return [digest, entry.packing, entry.isKept].join(" ");
}
