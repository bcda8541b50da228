// What an outbox entry says: names and digests only. The bytes are read from the storage when they
// are sent, so an entry stays small and never goes stale.

import * as v from "valibot";
import { packageNameSchema, tagSchema } from "../../registry/backfill.ts";
import type { Digest } from "../../registry/digest.ts";
import { storePathSchema } from "../../registry/lookup.ts";
import { type Pin, pinSchema } from "../../registry/pin.ts";
import type { PackageName, System } from "../../registry/recipe.ts";
import { digestSchema, type PackingId, packingIdSchema } from "../../registry/record.ts";
import type { Tag } from "../../registry/reference.ts";
import type { StorePath } from "../../registry/store-path.ts";
import { VARIANTS, type Variant } from "../../registry/variant.ts";
import { parseStoredJson } from "../storage/stored-json.ts";

export interface OutboxEntry {
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
  readonly packages: readonly {
    readonly name: PackageName;
    readonly storePaths: readonly StorePath[];
  }[];
}

const entrySchema: v.GenericSchema<unknown, OutboxEntry> = v.object({
  recipe: v.string(),
  system: v.picklist(["x86_64-linux", "aarch64-linux"]),
  tag: tagSchema,
  variant: v.picklist(VARIANTS),
  pin: pinSchema,
  resolvedAtMs: v.number(),
  manifest: digestSchema,
  config: digestSchema,
  packing: packingIdSchema,
  packages: v.array(v.object({ name: packageNameSchema, storePaths: v.array(storePathSchema) })),
});

/** Undefined for anything but a whole entry of this version. */
export function parseOutboxEntry(bytes: Uint8Array): OutboxEntry | undefined {
  const parsed = v.safeParse(entrySchema, parseStoredJson(bytes));
  return parsed.success ? parsed.output : undefined;
}
