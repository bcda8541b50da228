// A slice of a package index that is being made: what Nix said of some thousand attributes, kept until all
// are there, so that a run that is ended goes on where it was.

import { gunzipSync, gzipSync } from "node:zlib";
import * as v from "valibot";
import { parseJson } from "../../registry/http/json.ts";
import { parseLookup } from "../../registry/image/lookup.ts";
import { attributeName } from "../../registry/naming/attribute.ts";
import type { FoundSet, SaidOfAttribute, SliceOfSet } from "../nix/lookup-json.ts";

/** What whoever makes an index needs to know of a slice. */
export interface ToldSlice {
  readonly attributes: readonly string[];
  /** Nobody was told why. */
  readonly failed: readonly (readonly string[])[];
  /** Whose attributes are to be told too. */
  readonly sets: readonly FoundSet[];
  /** Empty where attributes were asked for. */
  readonly top: readonly string[];
}

/** More is nothing that a set of packages says. */
const MAX_SLICE_BYTES = 256 * 1024 ** 2;
const FAST = { level: 1 };

const path = v.array(v.string());
const sliceSchema = v.object({
  /** By what it was asked; of others nothing is known. */
  askedBy: v.string(),
  entries: v.array(v.object({ path, said: v.unknown() })),
  sets: v.array(v.object({ path, isListed: v.boolean(), names: v.array(v.string()) })),
  images: v.array(v.string()),
  top: v.array(v.string()),
});

export function packSlice(slice: SliceOfSet, askedBy: string): Uint8Array {
  return gzipSync(JSON.stringify({ askedBy, ...slice }), FAST);
}

/** Undefined for what is none, or was asked by others. */
export function unpackSlice(packed: Uint8Array, askedBy: string): SliceOfSet | undefined {
  const parsed = v.safeParse(sliceSchema, parseJson(unpacked(packed)));
  if (!parsed.success || parsed.output.askedBy !== askedBy) return undefined;
  const { entries, sets, images, top } = parsed.output;
  return { entries: entries.flatMap(entryOf), sets, images, top };
}

function unpacked(packed: Uint8Array): Uint8Array {
  try {
    return gunzipSync(packed, { maxOutputLength: MAX_SLICE_BYTES });
  } catch {
    // What a disk has cut short is made again.
    return new Uint8Array();
  }
}

function entryOf({ path: of, said }: { path: string[]; said?: unknown }): SaidOfAttribute[] {
  const lookup = parseLookup(said);
  return [{ path: of, said: lookup ?? { kind: "failed" } }];
}

export function tellSlice({ entries, sets, top }: SliceOfSet): ToldSlice {
  return {
    attributes: entries.map((entry) => attributeName(entry.path)),
    failed: entries.flatMap((entry) => (entry.said.kind === "failed" ? [entry.path] : [])),
    sets: sets.filter(({ isListed }) => isListed),
    top,
  };
}
