// What an edge tells its origin of what it has stored, page by page, and what it is told to remove. Whoever
// asks for KV before R2 never sees a value before what it names was there: each page comes after the one
// before it, and in R2 what names others comes first, as in KV the roots of package indexes do.

import * as v from "valibot";
import { type Digest, digestHex } from "../naming/digest.ts";
import type { Pin } from "../naming/pin.ts";
import type { System } from "../naming/recipe.ts";

/** The two places that an edge stores in. */
export const EDGE_STORES = ["r2", "kv"] as const;
export type EdgeStore = (typeof EDGE_STORES)[number];

/** Ask for the first page without a cursor, then with that of the page before. */
export interface ValuesBody {
  readonly store: EdgeStore;
  /** Blobs are most of the bytes: they need not be read. */
  readonly reads: "everything" | "documents";
  readonly cursor: string | null;
}

/** What the origin has of the same: where, and under which name, in its storage. */
export interface OriginPlace {
  /** Null of what only an edge has. */
  readonly collection:
    | "layers"
    | "manifests"
    | "records"
    | "lookups"
    | "index"
    | "index-objects"
    | null;
  readonly name: string;
}

export interface EdgeValue extends OriginPlace {
  /** As the store has it. */
  readonly key: string;
  /**
   * Of what KV has a copy of: its key in R2. Null of what is one of the two's alone. An edge of an earlier
   * version says nothing of it, and tells of no pulls.
   */
  readonly copyOf?: string | null | undefined;
  readonly sizeBytes: number;
  /** By R2's own clock; KV tells none. */
  readonly storedAtMs: number | null;
  /** `unfinished`: an upload that nothing names. `unknown`: no key of the edge's. */
  readonly state: "whole" | "damaged" | "unfinished" | "unknown";
  readonly names: readonly NamedValue[];
}

export interface NamedValue extends OriginPlace {
  readonly store: EdgeStore;
  readonly key: string;
  /** Null where nothing says. */
  readonly sizeBytes: number | null;
}

export interface ValuesPage {
  readonly values: readonly EdgeValue[];
  /** Null after the last page. */
  readonly cursor: string | null;
}

export interface RemovalsBody {
  readonly store: EdgeStore;
  readonly keys: readonly string[];
  /** What R2 has stored since then stays: it was not what was looked at. Null: all of them go. */
  readonly storedBeforeMs: number | null;
}

/** In KV: what an origin removes of package indexes without asking before what there is. */
export const indexKey = {
  root: (pin: Pin, system: System) => `i/${pin}/${system}`,
  object: (digest: Digest) => `x/${digestHex(digest)}`,
};

/** KV removes one key with each call, and a Worker may make a thousand calls. */
export const MAX_REMOVALS_PER_BODY = 500;

/** KV's limit is 512 bytes, R2's 1024. */
const keySchema = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));
const storeSchema = v.picklist(EDGE_STORES);

export const valuesBodySchema: v.GenericSchema<unknown, ValuesBody> = v.object({
  store: storeSchema,
  reads: v.picklist(["everything", "documents"]),
  cursor: v.nullable(v.pipe(v.string(), v.maxLength(4096))),
});

export const removalsBodySchema: v.GenericSchema<unknown, RemovalsBody> = v.object({
  store: storeSchema,
  keys: v.pipe(v.array(keySchema), v.maxLength(MAX_REMOVALS_PER_BODY)),
  // An origin of an earlier version says nothing of it.
  storedBeforeMs: v.optional(v.nullable(v.number()), null),
});

const placeEntries = {
  collection: v.nullable(
    v.picklist(["layers", "manifests", "records", "lookups", "index", "index-objects"]),
  ),
  name: v.string(),
};

export const valuesPageSchema: v.GenericSchema<unknown, ValuesPage> = v.object({
  values: v.array(
    v.object({
      ...placeEntries,
      key: v.string(),
      sizeBytes: v.number(),
      copyOf: v.optional(v.nullable(v.string())),
      // An edge of an earlier version says nothing of it.
      storedAtMs: v.optional(v.nullable(v.number()), null),
      state: v.picklist(["whole", "damaged", "unfinished", "unknown"]),
      names: v.array(
        v.object({
          ...placeEntries,
          // An edge of an earlier version names nothing but what is in R2.
          store: v.optional(storeSchema, "r2"),
          key: v.string(),
          sizeBytes: v.nullable(v.number()),
        }),
      ),
    }),
  ),
  cursor: v.nullable(v.string()),
});
