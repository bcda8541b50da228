// What is known of a tag's pins: merged in R2, where a write can be made conditional, and copied to
// KV, where composing reads it.

import * as v from "valibot";
import {
  MAX_LATEST_PINS,
  MAX_PINS_PER_TAG,
  type ResolvedPin,
  type TagPins,
  tagPinsSchema,
  withMove,
} from "../../registry/between/tag-pins.ts";
import { parseJson } from "../../registry/http/json.ts";
import type { Pin } from "../../registry/naming/pin.ts";
import type { Tag } from "../../registry/naming/reference.ts";
import type { Edge } from "../request/edge.ts";
import { kvKey, r2Key } from "./keys.ts";
import { attemptKv } from "./tiers.ts";

const MAX_WRITE_ATTEMPTS = 5;

/** At once, in the order of their keys; a moment old where this isolate has read them lately. */
export async function readTagPins(
  edge: Edge,
  keys: readonly string[],
): Promise<readonly (TagPins | undefined)[]> {
  const { pins: read } = edge.reads;
  const remembered = keys.map((key) => edge.pins.lookup(key, edge.now()) ?? read.get(key));
  if (keys.every((key, place) => remembered[place] !== undefined || read.has(key)))
    return remembered;
  const texts = await attemptKv(edge, () => edge.kv.get([...keys], "text"));
  return keys.map((key) => {
    const text = texts?.get(key) ?? null;
    const pins = text === null ? undefined : parseTagPins(parseJson(text));
    read.set(key, pins);
    if (text !== null && pins !== undefined) {
      const staleMs = newestMs(pins) + edge.pinFreshMs;
      const untilMs = Math.min(edge.now() + edge.pointerMemoryMs, staleMs);
      edge.pins.store(key, pins, { sizeBytes: text.length, fromMs: edge.now(), untilMs });
    }
    return pins;
  });
}

/**
 * Both for the tag and among the latest of all tags, where images of a commit find packings, and what
 * is asked for by its digest its pin.
 */
export async function storeTagPins(edge: Edge, tag: Tag, told: TagPins): Promise<void> {
  for (const key of [
    { r2: r2Key.tagPins(tag), kv: kvKey.tagPins(tag), most: MAX_PINS_PER_TAG, isOfTag: true },
    { r2: r2Key.latestPins, kv: kvKey.latestPins, most: MAX_LATEST_PINS, isOfTag: false },
  ]) {
    const merge = (stored: TagPins | undefined) => {
      const merged = mergeTagPins(stored, told, key.most);
      // Of all tags together they would tell of no tag.
      return key.isOfTag ? { ...merged, moves: movesOf(stored, told) } : merged;
    };
    await copyToKv(edge, key.kv, await mergeInR2(edge, key.r2, merge));
    edge.pins.forget(key.kv);
  }
}

/** Of a tag that the package source has no more; what is known of its pins stays. */
export async function forgetTagPins(edge: Edge, tag: Tag): Promise<void> {
  await edge.r2.delete(r2Key.tagPins(tag));
  await edge.kv.delete(kvKey.tagPins(tag));
  edge.pins.forget(kvKey.tagPins(tag));
}

async function mergeInR2(
  edge: Edge,
  key: string,
  merge: (stored: TagPins | undefined) => TagPins,
): Promise<TagPins> {
  for (let attempts = 0; attempts < MAX_WRITE_ATTEMPTS; attempts += 1) {
    const object = await edge.r2.get(key);
    const text = await object?.text();
    const stored = text === undefined ? undefined : parseTagPins(parseJson(text));
    const merged = merge(stored && untilNow(stored, edge.now()));
    const mergedText = JSON.stringify(merged);
    if (mergedText === text) return merged;
    const written = await edge.r2.put(key, mergedText, {
      onlyIf: object === null ? { etagDoesNotMatch: "*" } : { etagMatches: object.etag },
    });
    if (written !== null) return merged;
  }
  throw new Error("a tag's pins changed at every attempt to write them");
}

/**
 * Pins newest first, one entry for each. Packings are those of whichever was resolved later, since an
 * outbox may deliver late.
 */
function mergeTagPins(stored: TagPins | undefined, told: TagPins, most: number): TagPins {
  const isOld = stored !== undefined && newestMs(told) < newestMs(stored);
  const { packings, composeVersion } = isOld ? stored : told;
  const pins = newestPins([...told.pins, ...(stored?.pins ?? [])], most);
  return { pins, packings, composeVersion };
}

/** Also of a tag that was told of before its moves were kept. */
function movesOf(stored: TagPins | undefined, told: TagPins): NonNullable<TagPins["moves"]> {
  const seen = [...(stored?.moves === undefined ? (stored?.pins ?? []) : []), ...told.pins];
  return seen
    .toSorted((a, b) => a.resolvedAtMs - b.resolvedAtMs)
    .reduce(withMove, stored?.moves ?? []);
}

/** What was resolved after now was so before the clock was set back: it gives way to whatever comes. */
function untilNow(stored: TagPins, nowMs: number): TagPins {
  const pins = stored.pins.map((each) =>
    each.resolvedAtMs > nowMs ? { ...each, resolvedAtMs: 0 } : each,
  );
  // A time that is yet to come would be the newest of all.
  const moves = stored.moves?.filter(({ sinceMs }) => sinceMs <= nowMs);
  return { ...stored, pins, ...(moves !== undefined && { moves }) };
}

function newestMs({ pins }: TagPins): number {
  return Math.max(...pins.map(({ resolvedAtMs }) => resolvedAtMs));
}

function newestPins(pins: readonly ResolvedPin[], most: number): readonly ResolvedPin[] {
  const newest = new Map<Pin, ResolvedPin>();
  for (const resolved of pins) {
    const known = newest.get(resolved.pin);
    if (known === undefined || known.resolvedAtMs < resolved.resolvedAtMs) {
      newest.set(resolved.pin, resolved);
    }
  }
  return [...newest.values()].sort((a, b) => b.resolvedAtMs - a.resolvedAtMs).slice(0, most);
}

/** One write a second is allowed per key, and most of what comes changes nothing. */
async function copyToKv(edge: Edge, key: string, pins: TagPins): Promise<void> {
  const text = JSON.stringify(pins);
  if ((await edge.kv.get(key)) !== text) await edge.kv.put(key, text);
}

/** Unreadable is unknown: what is told now takes its place. */
export function parseTagPins(json: unknown): TagPins | undefined {
  const parsed = v.safeParse(tagPinsSchema, json);
  return parsed.success ? parsed.output : undefined;
}
