// Output paths to package records: what is known is recalled, what is under way is joined, and the
// rest is realised together and then packed. A record is kept under its output path and packing,
// never under a pin: a channel that moves makes only anew what really changed.

import type { CutOfRecord } from "../../registry/cuts.ts";
import { type Found, packagesOf } from "../../registry/lookup.ts";
import type { Packing } from "../../registry/pin.ts";
import {
  FORMS,
  type Form,
  type PackageRecord,
  parsePackageRecord,
  recordLayers,
} from "../../registry/record.ts";
import type { FailureMemory } from "../failures/failure-memory.ts";
import type { ClosureGraph } from "../layers/closure.ts";
import { queryClosure } from "../nix/closure.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import { recentValues } from "../recent.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson } from "../storage/stored-json.ts";
import type { Stage } from "../waiting/hold.ts";
import { joinBatches } from "../waiting/join.ts";
import type { HeldPaths, HoldFailure, WantedPath } from "./held-paths.ts";
import type { RecordMaker } from "./record-maker.ts";

export type RecordsResult =
  | { readonly kind: "records"; readonly records: readonly PackageRecord[] }
  | RecordFailure;

export type RecordFailure =
  | HoldFailure
  | { readonly kind: "unpackable"; readonly reason: string }
  | { readonly kind: "too-large"; readonly sizeBytes: number; readonly limitBytes: number };

export interface Records {
  readonly packings: Readonly<Record<Form, Packing>>;
  /**
   * One result per lookup, in order: the records of all its outputs. Rejects with the signal's
   * reason when that is aborted; Nix is stopped then unless someone else waits for the same outputs.
   */
  make(found: readonly Found[], form: Form, signal: AbortSignal): Promise<readonly RecordsResult[]>;
  /** What the records of these wait for. */
  stage(found: readonly Found[]): Stage;
  /** The record with the layers of a coarser cut, and what keeps it from being made. */
  coarsen(cut: CutOfRecord): Promise<OneRecord>;
}

export interface RecordsOptions {
  readonly nix: NixTool;
  readonly store: BlobStore;
  readonly maker: RecordMaker;
  readonly packings: Readonly<Record<Form, Packing>>;
  readonly held: HeldPaths;
  /** In the store, of all that one pull needs packed. */
  readonly maxClosureBytes: number;
  /** By derivation. */
  readonly failures: FailureMemory<RecordFailure>;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

interface WantedRecord extends WantedPath {
  readonly form: Form;
}

export type OneRecord = { readonly kind: "record"; readonly record: PackageRecord } | RecordFailure;

const MAX_RECORDS_IN_MEMORY = 5000;

export function createRecords(options: RecordsOptions): Records {
  const {
    nix,
    store,
    maker,
    packings,
    held,
    failures: remembered,
    maxClosureBytes,
    signal,
  } = options;
  const recent = recentValues<PackageRecord>(MAX_RECORDS_IN_MEMORY);
  const keyOf = ({ storePath, form }: WantedRecord) =>
    storageKey.record(packings[form].id, storePath);
  const keyOfRecord = ({ storePath, packing }: PackageRecord) =>
    storageKey.record(packing, storePath);

  async function keep(record: PackageRecord): Promise<void> {
    await store.store(keyOfRecord(record), Buffer.from(JSON.stringify(record)));
    recent.store(keyOfRecord(record), record);
  }

  async function recallAt(key: StorageKey): Promise<PackageRecord | undefined> {
    const known = recent.lookup(key);
    if (known !== undefined) return known;
    const bytes = await store.lookup(key);
    if (bytes === undefined) return undefined;
    const record = parsePackageRecord(parseStoredJson(bytes));
    // An operator may have cleared the layers alone: then the record is made again.
    if (record === undefined || !(await hasLayers(record))) return undefined;
    recent.store(key, record);
    return record;
  }

  /** What a wanted record is known to be: there, or impossible as of late. */
  async function recall(wanted: WantedRecord): Promise<OneRecord | undefined> {
    const record = await recallAt(keyOf(wanted));
    return record === undefined ? remembered.lookup(wanted.derivation) : { kind: "record", record };
  }

  async function hasLayers(record: PackageRecord): Promise<boolean> {
    const sizes = await Promise.all(
      recordLayers(record).map((layer) => store.sizeBytes(storageKey.layer(layer.digest))),
    );
    return sizes.every((size) => size !== undefined);
  }

  async function coarsenOne({ record, level }: CutOfRecord): Promise<OneRecord> {
    // Another request may have joined the cut, or another cut, since this one was composed.
    const latest = (await recallAt(keyOfRecord(record))) ?? record;
    if (latest.coarser[level - 1]?.every(({ layer }) => layer !== null)) {
      return { kind: "record", record: latest };
    }
    return held.during([record.storePath], async () => {
      const coarsened = await maker.coarsen(latest, level);
      await keep(coarsened);
      return { kind: "record", record: coarsened };
    });
  }

  async function makeOne(graph: ClosureGraph, wanted: WantedRecord): Promise<OneRecord> {
    const made = await maker.make(graph, wanted.storePath, wanted.form);
    if (made.kind === "record") await keep(made.record);
    return made;
  }

  /**
   * Stops with Nix when nobody waits any more. What is being packed by then is packed to its end and
   * kept: it is bounded work, and the next who asks finds it.
   */
  async function makeAll(
    wanted: readonly WantedRecord[],
    unwanted: AbortSignal,
  ): Promise<readonly OneRecord[]> {
    const holding = await held.realise(wanted, unwanted);
    if (holding.kind !== "held") return wanted.map(() => holding);
    const { failures } = holding;
    try {
      const valid = wanted.filter(({ derivation }) => !failures.has(derivation));
      const graph = await queryClosure(
        nix,
        valid.map(({ storePath }) => storePath),
        AbortSignal.any([signal, unwanted]),
      );
      const sizeBytes = graph.reduce((sum, { narSizeBytes }) => sum + narSizeBytes, 0);
      if (sizeBytes > maxClosureBytes) {
        const tooLarge: OneRecord = { kind: "too-large", sizeBytes, limitBytes: maxClosureBytes };
        return wanted.map(({ derivation }) => failures.get(derivation) ?? tooLarge);
      }
      // All of them to their end: the roots are released only when nothing is packed any more.
      const ended = await Promise.allSettled(
        wanted.map((each) => failures.get(each.derivation) ?? makeOne(graph, each)),
      );
      return ended.map((each) => {
        if (each.status === "fulfilled") return each.value;
        if (signal.aborted) return { kind: "cancelled" };
        throw each.reason;
      });
    } catch (error) {
      if (signal.aborted || unwanted.aborted) return wanted.map(() => ({ kind: "cancelled" }));
      throw error;
    } finally {
      // Until here nothing that is being packed can be collected.
      await holding.release();
    }
  }

  const making = joinBatches(keyOf, makeAll);
  // One at a time for each record: two cuts joined at once would each forget the other's.
  const coarsening = joinBatches<CutOfRecord, OneRecord>(
    (cut) => keyOfRecord(cut.record),
    (cuts) => Promise.all(cuts.map(coarsenOne)),
  );

  return {
    packings,
    // What is neither queued nor realised is being packed, or is there already.
    stage: (found) =>
      held.progress(found.flatMap(packagesOf).map(({ derivation }) => derivation)) ?? {
        kind: "packing",
      },
    async coarsen(cut) {
      const [result] = await coarsening.all([cut]);
      return result ?? { kind: "cancelled" };
    },
    async make(found, form, waiting) {
      const wanted = found.map((each) =>
        packagesOf(each).flatMap(({ derivation, outputs }) =>
          outputs.map(({ name, path }) => ({ derivation, output: name, storePath: path, form })),
        ),
      );
      const all = wanted.flat();
      const recalled = await Promise.all(all.map(recall));
      const open = all.filter((_, index) => recalled[index] === undefined);
      const made = open.length === 0 ? [] : await making.all(open, waiting);
      const results = new Map<WantedRecord, OneRecord>();
      all.forEach((each, index) => {
        const result = recalled[index];
        if (result !== undefined) results.set(each, result);
      });
      open.forEach((each, index) => {
        const result = made[index];
        if (result === undefined) return;
        results.set(each, result);
        if (isLasting(result)) remembered.store(each.derivation, result);
      });
      return wanted.map((outputs) => collect(outputs.flatMap((each) => results.get(each) ?? [])));
    },
  };
}

/** How layers are made in this process, in each form; makes and stores the base layers. */
export async function createPackings(maker: RecordMaker): Promise<Record<Form, Packing>> {
  const [zstd, gzip] = await Promise.all(FORMS.map((form) => maker.packing(form)));
  if (zstd === undefined || gzip === undefined) throw new Error("a form has no packing");
  return { zstd, gzip };
}

/** Whether it would fail again at once: not where time, a collector or a stop was the reason. */
function isLasting(result: OneRecord): result is RecordFailure {
  return result.kind === "build-failed" || result.kind === "unpackable";
}

function collect(outputs: readonly OneRecord[]): RecordsResult {
  const records: PackageRecord[] = [];
  for (const output of outputs) {
    if (output.kind !== "record") return output;
    records.push(output.record);
  }
  return { kind: "records", records };
}
