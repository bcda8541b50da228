// What is kept of a storage: what the images need that were pulled lately or are pinned, and what is too
// young to judge. Where that is more than there is room for, the images pulled longest ago are dropped.

import type { PulledImage } from "../../registry/between/pulled-images.ts";
import { configuredPin, type Pin } from "../../registry/naming/pin.ts";
import { type CountKind, NO_POPULARITY, parsePopularity } from "../layers/popularity.ts";
import { keptRoots } from "../package-index/kept-indexes.ts";
import { knownOf, type PinnedImage, pinnedImages, rememberKnown } from "../pulled/pinned-images.ts";
import { type NotedPull, parsePullNotes } from "../pulled/pull-notes.ts";
import { pulledImageKey } from "../pulled/pulled-image.ts";
import { parseStoredPin } from "../sources/pin-memory.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { listedKey, type StorageKey, storageKey } from "../storage/keys.ts";
import { readStoredText } from "../storage/stored-json.ts";
import { type Held, heldIn, type Inventory, notesOfLayers } from "./inventory.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { createNeeds, type Needs } from "./needs.ts";
import { NEVER_SWEPT } from "./order.ts";
import { isYoung, type Rules, wasPulledWithin } from "./rules.ts";

export interface MarkOptions {
  readonly store: Pick<BlobStore, "list" | "lookup" | "store">;
  readonly inventory: Inventory;
  readonly rules: Rules;
  /** Whose blobs `pushed/` is of; null where nobody says. */
  readonly edgeUrl: string | null;
  /** Nothing is written. */
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

export interface Marked {
  readonly kept: ReadonlySet<StorageKey>;
  /** What would be kept if there were room. */
  readonly overLimit: ReadonlySet<StorageKey>;
  readonly images: ImageCounts;
  readonly answers: Answers;
  readonly needs: Needs;
}

/** What the images that stay were answered with, and under which tags: of these an edge keeps what it has. */
export interface Answers {
  /** Digests. */
  readonly manifests: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
}

export interface ImageCounts {
  readonly kept: number;
  readonly overLimit: number;
  /** Of which there is a note still, and nobody has pulled them for long enough. */
  readonly old: number;
}

export async function mark(options: MarkOptions): Promise<Marked> {
  const { store, inventory, rules, signal } = options;
  const notes = await notesOfLayers(store, inventory, signal);
  const pins = await readPins(options);
  const ledger = openLedger({ ...options, notes, tags: tagsByRevision(pins) });
  const needs = createNeeds(store, inventory);
  const pulls = await readPulls(options);
  await addAlways(options, ledger, needs);
  addPinsInUse(options, ledger, pins);
  for (const { key, of, storedAtMs } of inventory.values()) {
    if (isYoung(rules, storedAtMs)) ledger.add(await needs.value(key));
    // Of what goes in this run the making stays: a pull that runs has its layers made again.
    if (of.collection === "makings" && inventory.has(storageKey.layer(of.digest)))
      ledger.add([key]);
  }
  const pinned = await pinnedNow(options, pulls);
  for (const image of pinned) await keepImage(ledger, needs, image);

  const current = pulls.filter(({ pulledAtMs }) =>
    [rules.keepMs, rules.graceMs].some((ms) => wasPulledWithin(ms, pulledAtMs, rules)),
  );
  await addIndexesInUse(options, ledger, needs, [
    ...pins.filter((each) => each.isInUse).flatMap(({ revision, before }) => [revision, before]),
    ...current.map(taggedCommit),
  ]);
  const limited = await keepWithinLimit(rules, ledger, needs, current);
  const old = pulls.length - current.length;
  return {
    ...{ kept: ledger.kept, overLimit: limited.needed, needs },
    answers: answersOf([...pinned, ...limited.kept]),
    images: {
      kept: limited.kept.length,
      ...{ overLimit: current.length - limited.kept.length, old },
    },
  };
}

function answersOf(images: readonly PulledImage[]): Answers {
  return {
    manifests: new Set(images.flatMap(({ manifests }) => manifests)),
    tags: new Set(images.flatMap(({ of }) => of?.tag ?? [])),
  };
}

/** Of each image its last one, the newest first. */
async function readPulls({ store, inventory, signal }: MarkOptions): Promise<readonly NotedPull[]> {
  const last = new Map<string, NotedPull>();
  for (const { key } of heldIn(inventory, "pulls")) {
    signal.throwIfAborted();
    const bytes = await store.lookup(key);
    for (const note of bytes === undefined ? [] : parsePullNotes(bytes)) {
      const name = pulledImageKey(note);
      if ((last.get(name)?.pulledAtMs ?? Number.NEGATIVE_INFINITY) < note.pulledAtMs) {
        last.set(name, note);
      }
    }
  }
  return [...last.values()].sort((a, b) => b.pulledAtMs - a.pulledAtMs);
}

async function addAlways(options: MarkOptions, ledger: Ledger, needs: Needs): Promise<void> {
  const { store, inventory, rules } = options;
  for (const collection of NEVER_SWEPT) {
    for (const { key } of heldIn(inventory, collection)) ledger.add(await needs.value(key));
  }
  // Whoever makes a record in their packing names them.
  for (const { key } of heldIn(inventory, "popularity")) {
    const bytes = await store.lookup(key);
    const text = (bytes && readStoredText(bytes)) ?? "";
    ledger.add(COUNT_KINDS.flatMap((kind) => popularityBlobOf(text, kind)));
  }
  const lasting = [...heldIn(inventory, "pulls"), ...heldIn(inventory, "tracked")];
  ledger.add(lasting.filter((each) => isInUse(rules, each)).map(({ key }) => key));
  if (options.edgeUrl !== null) return;
  const pushed = heldIn(inventory, "pushed").filter((each) => isInUse(rules, each));
  ledger.add(pushed.map(({ key }) => key));
}

/** What a file counts it may leave to whoever names it in the configuration. */
const COUNT_KINDS = ["references", "closures"] as const;

function popularityBlobOf(text: string, kind: CountKind): readonly StorageKey[] {
  const parsed = parsePopularity(text, kind);
  const { id, text: blob } = parsed.kind === "popularity" ? parsed.popularity : NO_POPULARITY;
  return blob === null ? [] : [listedKey(`layers/${id}`)];
}

/** What is written anew while it is of use. */
function isInUse(rules: Rules, { storedAtMs }: Held): boolean {
  return wasPulledWithin(rules.keepMs, storedAtMs, rules) || isYoung(rules, storedAtMs);
}

async function pinnedNow(
  { store, isDryRun }: MarkOptions,
  pulls: readonly NotedPull[],
): Promise<readonly PulledImage[]> {
  const pinned = await pinnedImages(store);
  const known = pinned.map((each) => knownOf(each, pulls.map(withoutTime)));
  const remember = async (each: PinnedImage, place: number) =>
    await rememberKnown(store, each, known[place] ?? []);
  if (!isDryRun) await Promise.all(pinned.map(remember));
  return known.flat();
}

function withoutTime({ manifests, of }: NotedPull): PulledImage {
  return { manifests, of };
}

async function keepImage(ledger: Ledger, needs: Needs, image: PulledImage): Promise<void> {
  ledger.add(await needs.image(image));
  if (image.of !== null) ledger.addPin(image.of.pin);
}

/** From the first that does not fit all that were pulled before it are dropped. */
async function keepWithinLimit(
  rules: Rules,
  ledger: Ledger,
  needs: Needs,
  newestFirst: readonly NotedPull[],
): Promise<{ readonly kept: readonly NotedPull[]; readonly needed: ReadonlySet<StorageKey> }> {
  const { maxBytes, graceMs } = rules;
  const needed = new Set<StorageKey>();
  const kept: NotedPull[] = [];
  let isFull = false;
  for (const image of newestFirst) {
    const keys = await needs.image(image);
    const pin = image.of?.pin ?? null;
    const isProtected = wasPulledWithin(graceMs, image.pulledAtMs, rules);
    const fits = maxBytes === null || ledger.bytes() + ledger.moreBytes(keys, pin) <= maxBytes;
    if (isProtected || (fits && !isFull)) {
      await keepImage(ledger, needs, image);
      kept.push(image);
      continue;
    }
    isFull = true;
    for (const key of keys) needed.add(key);
  }
  return { kept, needed };
}

interface HeldPin {
  readonly key: StorageKey;
  /** Of the files alone; undefined where it cannot be read. */
  readonly revision: Pin | undefined;
  /** What the tag had before. */
  readonly before: Pin | undefined;
  readonly isInUse: boolean;
}

/** A tag in use is written anew as often as it is resolved; where its source is gone, its images say. */
async function readPins({ store, inventory, rules }: MarkOptions): Promise<readonly HeldPin[]> {
  return Promise.all(
    heldIn(inventory, "pins").map(async (each) => {
      const bytes = await store.lookup(each.key);
      const stored = bytes && parseStoredPin(bytes);
      const revision = stored && configuredPin(stored.pin, "");
      const before = stored?.before && configuredPin(stored.before, "");
      return { key: each.key, revision, before, isInUse: isInUse(rules, each) };
    }),
  );
}

function tagsByRevision(pins: readonly HeldPin[]): ReadonlyMap<Pin, readonly StorageKey[]> {
  const tags = new Map<Pin, StorageKey[]>();
  for (const { key, revision } of pins) {
    if (revision !== undefined) tags.set(revision, [...(tags.get(revision) ?? []), key]);
  }
  return tags;
}

function addPinsInUse({ inventory }: MarkOptions, ledger: Ledger, pins: readonly HeldPin[]): void {
  const used = pins.filter((each) => each.isInUse);
  ledger.add(used.map(({ key }) => key));
  const revisions = new Set(used.flatMap(({ revision }) => revision ?? []));
  for (const { of } of heldIn(inventory, "asked")) {
    if (of.collection === "asked" && revisions.has(configuredPin(of.pin, ""))) {
      ledger.addPin(of.pin);
    }
  }
}

/** What images of older revisions need are their lookups. */
async function addIndexesInUse(
  { inventory }: MarkOptions,
  ledger: Ledger,
  needs: Needs,
  revisions: readonly (Pin | undefined)[],
): Promise<void> {
  const known = new Set(revisions.filter((each) => each !== undefined));
  const roots = heldIn(inventory, "index").flatMap(({ key, of, storedAtMs }) =>
    of.collection === "index" ? { key, storedAtMs, ...of } : [],
  );
  for (const { key } of keptRoots(roots, known)) ledger.add(await needs.value(key));
}

/** The revision of an image that was pulled by a tag which is one: of such a tag no pin is noted. */
function taggedCommit({ of }: NotedPull): Pin | undefined {
  const revision = of?.tag && configuredPin(of.pin, "");
  return revision && revision === `${of.tag}` ? revision : undefined;
}
