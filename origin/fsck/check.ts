// Every value of the origin's storage, read once: whether its bytes are those that were stored, and whether
// what it names is there. Origins may go on storing and removing meanwhile: what is found is looked at once
// more before it is told.

import type { StorePath } from "../../registry/naming/store-path.ts";
import type { ReadableStore, StoredValue } from "../storage/blob-store.ts";
import { COLLECTIONS, parseStorageKey, type StorageKey, type StoredKey } from "../storage/keys.ts";
import { overEach } from "../storage/over-each.ts";
import type { Checked, Counted, Finding, OnChecked } from "./finding.ts";
import type { Named } from "./named-values.ts";
import { type ReadValue, readValue } from "./read-value.ts";

export interface CheckOptions {
  readonly store: ReadableStore;
  /** Layers are most of the bytes: without them only what names them is read. */
  readonly reads: "everything" | "documents";
  readonly onChecked: OnChecked;
  readonly signal: AbortSignal;
}

interface Listed extends StoredValue {
  readonly of: StoredKey;
}

interface Known {
  readonly sizes: ReadonlyMap<StorageKey, number>;
  /** At fault themselves, whoever names them. */
  readonly damaged: Set<StorageKey>;
  /** Values that another one names. */
  readonly named: Set<StorageKey>;
  /** Outputs of which there is a record. */
  readonly recorded: Set<StorePath>;
}

export async function checkStorage(options: CheckOptions): Promise<Checked> {
  const { store, reads, onChecked, signal } = options;
  const { values, collections, strangers } = await listAll(options);
  const known: Known = {
    sizes: new Map(values.map(({ key, sizeBytes }) => [key, sizeBytes])),
    ...{ damaged: new Set(), named: new Set(), recorded: new Set() },
  };
  const toRead = values.filter(({ of }) => reads === "everything" || of.collection !== "layers");
  const ofBytes = sumOf(toRead);
  const suspects = new Set<Listed>();
  /** Which records there are is known when all are read. */
  const lookups: { readonly value: Listed; readonly outputs: readonly StorePath[] }[] = [];
  let doneBytes = 0;
  let withoutChecksum = 0;

  await overEach(toRead, async (value) => {
    signal.throwIfAborted();
    const read = await readValue(store, value.key, value.of, value.sizeBytes);
    doneBytes += value.sizeBytes;
    onChecked(doneBytes, ofBytes, suspects.size);
    if (read.kind === "damaged") {
      suspects.add(value);
      known.damaged.add(value.key);
      if (value.of.collection === "records" && value.of.output) {
        known.recorded.add(value.of.output);
      }
    }
    if (read.kind !== "whole") return;
    if (!read.isSure) withoutChecksum += 1;
    for (const output of read.outputs) known.recorded.add(output);
    for (const named of read.names) {
      if (named.kind !== "value") continue;
      known.named.add(named.key);
      if (!isListed(known, named)) suspects.add(value);
    }
    const outputs = read.names.flatMap((each) => (each.kind === "record-of" ? each.output : []));
    if (outputs.length > 0) lookups.push({ value, outputs });
  });
  for (const { value, outputs } of lookups) {
    if (outputs.some((output) => !known.recorded.has(output))) suspects.add(value);
  }
  if (suspects.size > 0) await readNewRecords(store, known);
  const findings: Finding[] = [];
  await overEach([...suspects], async (value) => {
    findings.push(...(await lookAgain(store, known, value)));
  });
  return {
    ...{ collections, strangers, withoutChecksum, orphans: orphansOf(values, known) },
    findings: findings.sort((a, b) => (a.key < b.key ? -1 : 1)),
  };
}

async function listAll({ store, signal }: CheckOptions) {
  const values: Listed[] = [];
  const collections: Record<string, Counted> = {};
  let strangers = 0;
  for (const collection of COLLECTIONS) {
    const first = values.length;
    for await (const value of store.list(`${collection}/`)) {
      signal.throwIfAborted();
      const of = parseStorageKey(value.key);
      if (of === undefined) strangers += 1;
      else values.push({ ...value, of });
    }
    const own = values.slice(first);
    collections[collection] = { values: own.length, bytes: sumOf(own) };
  }
  return { values, collections, strangers };
}

function isListed({ sizes, recorded }: Known, named: Named): boolean {
  if (named.kind === "record-of") return recorded.has(named.output);
  return isOfSize(sizes.get(named.key), named.sizeBytes);
}

function isOfSize(sizeBytes: number | undefined, told: number | null): boolean {
  return sizeBytes !== undefined && (told ?? sizeBytes) === sizeBytes;
}

/** Stored since the listing, and before a lookup that was in it. */
async function readNewRecords(store: ReadableStore, known: Known): Promise<void> {
  for await (const { key, sizeBytes } of store.list("records/")) {
    const of = known.sizes.has(key) ? undefined : parseStorageKey(key);
    const read = of && (await readValue(store, key, of, sizeBytes));
    if (read?.kind === "whole") for (const each of read.outputs) known.recorded.add(each);
  }
}

/**
 * What another origin has stored since the listing is there by now, and what it has removed is no fault.
 * A damaged value may have been made again.
 */
async function lookAgain(
  store: ReadableStore,
  known: Known,
  { key, of }: Listed,
): Promise<readonly Finding[]> {
  const sizeBytes = await store.sizeBytes(key);
  if (sizeBytes === undefined) return [];
  const read: ReadValue = await readValue(store, key, of, sizeBytes);
  if (read.kind === "damaged") return [{ key, kind: "damaged" }];
  if (read.kind === "gone") return [];
  const missing = await Promise.all(read.names.map((named) => missingOf(store, known, named)));
  const all = [...new Set(missing.flat())];
  return all.length === 0 ? [] : [{ key, kind: "incomplete", missing: all }];
}

async function missingOf(
  store: ReadableStore,
  known: Known,
  named: Named,
): Promise<readonly string[]> {
  if (named.kind === "record-of") return isListed(known, named) ? [] : [named.output];
  if (known.damaged.has(named.key)) return [];
  return isOfSize(await store.sizeBytes(named.key), named.sizeBytes) ? [] : [named.key];
}

function orphansOf(values: readonly Listed[], known: Known): Readonly<Record<string, number>> {
  const orphans = values.filter(
    ({ key, of }) => of.collection === "layers" && !known.named.has(key),
  );
  return { layers: orphans.length };
}

function sumOf(values: readonly StoredValue[]): number {
  return values.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
