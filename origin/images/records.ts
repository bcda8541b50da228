// The parts of an image to their records: what is known is recalled, what is under way is joined, and
// the rest is realised together and then packed. A record is kept under its outputs and packing, never
// under a pin: a channel that moves makes only anew what really changed.

import { isYounger } from "../../registry/between/age.ts";
import type { CutOfRecord } from "../../registry/image/cuts.ts";
import { type Ingredient, packagesIn } from "../../registry/image/part.ts";
import {
  type Form,
  type PackageRecord,
  type PackingId,
  parsePackageRecord,
  recordLayers,
} from "../../registry/image/record.ts";
import { isGoneFromStore } from "../failures/host-error.ts";
import type { ValidClosure } from "../layers/closure.ts";
import type { FailureMemory } from "../memory/failure-memory.ts";
import { recentValues } from "../memory/recent-values.ts";
import { queryClosure } from "../nix/closure.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { type StorageKey, storageKey } from "../storage/keys.ts";
import { parseStoredJson, storedJson } from "../storage/stored-json.ts";
import type { Demand } from "../waiting/demand.ts";
import type { Stage } from "../waiting/hold-request.ts";
import { joinBatches } from "../waiting/join.ts";
import type { HeldPaths } from "./held-paths.ts";
import { createPackingCount, type PackingCount, packingStage } from "./packing-count.ts";
import type { RecordMaker } from "./record-maker.ts";
import {
  failedAsWhole,
  failuresIn,
  type NamedFailure,
  named,
  type PartResult,
  type RecordFailure,
  type WantedPart,
  wantedParts,
} from "./wanted-parts.ts";

export interface RecordsResult {
  /** Of the parts, in their order, but for those that failed. */
  readonly records: readonly PackageRecord[];
  readonly failures: readonly NamedFailure[];
  /** Nothing was realised or packed. */
  readonly isRemembered: boolean;
}

export interface Records {
  readonly packings: Readonly<Record<Form, PackingId>>;
  /**
   * The records of an image's parts. Rejects with the reason of the demand's signal when that is
   * aborted; Nix is stopped then unless someone else has a use for the same outputs.
   */
  make(ingredients: readonly Ingredient[], form: Form, demand: Demand): Promise<RecordsResult>;
  /** The same where all of them are there; undefined where any would have to be made. */
  known(
    ingredients: readonly Ingredient[],
    form: Form,
  ): Promise<readonly PackageRecord[] | undefined>;
  /** Why some of them cannot be made, as far as it is remembered. */
  failures(ingredients: readonly Ingredient[], form: Form): Promise<readonly NamedFailure[]>;
  /** What the records of these wait for. */
  stage(ingredients: readonly Ingredient[], form: Form): Stage;
  /** The record with the layers of a coarser cut, or what keeps it from being made. */
  coarsen(cut: CutOfRecord): Promise<CoarsenedRecord>;
}

export type CoarsenedRecord =
  | { readonly kind: "record"; readonly record: PackageRecord }
  | RecordFailure;

export interface RecordsOptions {
  readonly nix: NixTool;
  readonly store: BlobStore;
  readonly maker: RecordMaker;
  readonly held: HeldPaths;
  /** In the store, of all that one pull needs packed. */
  readonly maxClosureBytes: number;
  /** By derivation, or by the key of the record. */
  readonly failures: FailureMemory<RecordFailure>;
  /** Stores the popularity data that a record names, where a collector has taken them. */
  readonly offer: () => Promise<void>;
  readonly now: () => number;
  /** Aborted when the origin goes down. */
  readonly signal: AbortSignal;
}

const MAX_RECORDS_IN_MEMORY = 5000;
/**
 * For so long what was there is believed to be there still. A collector, here or at another origin, lets
 * what is known of making a layer outlive it by more, so that meanwhile it is made again when asked for.
 */
export const BELIEVED_MS = 3_600_000;

interface SeenRecord {
  readonly record: PackageRecord;
  /** In the storage, with its layers. */
  readonly seenAtMs: number;
}

/** An exception, which may be a collector's doing. */
interface Broken {
  readonly kind: "broken";
  readonly error: unknown;
}

export function createRecords(options: RecordsOptions): Records {
  const { nix, store, maker, held, failures: remembered, maxClosureBytes, signal } = options;
  const { offer, now } = options;
  const { packings } = maker;
  const recent = recentValues<SeenRecord>(MAX_RECORDS_IN_MEMORY);
  /** Of the parts that are being packed. */
  const packing = new Map<StorageKey, PackingCount>();
  const keyOf = ({ part, form }: WantedPart) => storageKey.record(packings[form], part);
  const keyOfRecord = (record: PackageRecord) => storageKey.record(record.packing, record);

  async function keep(record: PackageRecord): Promise<void> {
    await offer();
    await store.store(keyOfRecord(record), storedJson(record));
    recent.store(keyOfRecord(record), { record, seenAtMs: now() });
  }

  async function recallAt(key: StorageKey): Promise<PackageRecord | undefined> {
    const known = recent.lookup(key);
    if (known && isYounger(known.seenAtMs, now(), BELIEVED_MS)) return known.record;
    const bytes = await store.lookup(key);
    if (bytes === undefined) return undefined;
    const record = parsePackageRecord(parseStoredJson(bytes));
    // An operator may have cleared the layers alone: then the record is made again.
    if (record === undefined || !(await hasLayers(record))) return undefined;
    recent.store(key, { record, seenAtMs: now() });
    return record;
  }

  /** What a wanted part is known to be: there, or impossible as of late. */
  async function recall(wanted: WantedPart): Promise<PartResult | undefined> {
    const record = await recallAt(keyOf(wanted));
    if (record !== undefined) return { kind: "record", record };
    const whole = remembered.lookup(keyOf(wanted));
    const failures = [
      ...(whole === undefined ? [] : [{ derivation: null, failure: whole }]),
      ...failuresIn(wanted, remembered.lookup),
    ];
    return failures.length === 0 ? undefined : { kind: "failed", failures };
  }

  /** Only what would fail again at once: not where time, a collector or a stop was the reason. */
  function remember(wanted: WantedPart, result: PartResult): void {
    if (result.kind === "record") return;
    for (const { derivation, failure } of result.failures) {
      if (failure.kind === "build-failed" && derivation !== null) {
        remembered.store(derivation, failure);
      } else if (failure.kind === "unpackable") remembered.store(keyOf(wanted), failure);
    }
  }

  /** One that a disk has cut short is as good as gone. */
  async function hasLayers(record: PackageRecord): Promise<boolean> {
    const whole = recordLayers(record).map(
      async ({ digest, sizeBytes }) =>
        (await store.sizeBytes(storageKey.layer(digest))) === sizeBytes,
    );
    return (await Promise.all(whole)).every(Boolean);
  }

  async function coarsenOne({ record, level }: CutOfRecord): Promise<CoarsenedRecord> {
    // Another request may have joined the cut, or another cut, since this one was composed.
    const latest = (await recallAt(keyOfRecord(record))) ?? record;
    if (latest.coarser[level - 1]?.every(({ layer }) => layer !== null)) {
      return { kind: "record", record: latest };
    }
    return held.during(record.outputs, async () => {
      const coarsened = await maker.coarsen(latest, level);
      await keep(coarsened);
      return { kind: "record", record: coarsened };
    });
  }

  async function makeOne(
    graph: ValidClosure,
    { part, form }: WantedPart,
    count: PackingCount,
  ): Promise<PartResult> {
    const made = await maker.make(graph, part, form, count);
    if (made.kind !== "record") return failedAsWhole(made);
    await keep(made.record);
    return made;
  }

  /**
   * Stops with Nix when it gives way. What is being packed by then is packed to its end and kept: it
   * is bounded work, and the next who asks finds it.
   */
  async function makeOnce(
    wanted: readonly WantedPart[],
    demand: Demand,
  ): Promise<readonly (PartResult | Broken)[]> {
    const holding = await held.realise(
      wanted.flatMap(({ paths }) => paths),
      demand,
    );
    if (holding.kind !== "held") return wanted.map(() => failedAsWhole(holding));
    const count = createPackingCount();
    for (const each of wanted) packing.set(keyOf(each), count);
    try {
      const failures = wanted.map((each) =>
        failuresIn(each, (derivation) => holding.failures.get(derivation)),
      );
      const isValid = (_: WantedPart, place: number) => failures[place]?.length === 0;
      const graph = await queryClosure(
        nix,
        wanted.filter(isValid).flatMap(({ part }) => part.outputs),
        AbortSignal.any([signal, demand.signal]),
      );
      const sizeBytes = graph.reduce((sum, { narSizeBytes }) => sum + narSizeBytes, 0);
      const limitBytes = maxClosureBytes;
      // All of them to their end: the roots are released only when nothing is packed any more.
      const ended = await Promise.allSettled(
        wanted.map((each, place): PartResult | Promise<PartResult> => {
          const own = failures[place] ?? [];
          if (own.length > 0) return { kind: "failed", failures: own };
          if (sizeBytes <= limitBytes) return makeOne(graph, each, count);
          return failedAsWhole({ kind: "too-large", sizeBytes, limitBytes });
        }),
      );
      return ended.map((each) =>
        each.status === "fulfilled" ? each.value : { kind: "broken", error: each.reason },
      );
    } catch (error) {
      return wanted.map(() => ({ kind: "broken", error }));
    } finally {
      for (const each of wanted) {
        if (packing.get(keyOf(each)) === count) packing.delete(keyOf(each));
      }
      // Until here nothing that is being packed can be collected.
      await holding.release();
    }
  }

  /** What a collector took all the same is realised once more. */
  async function makeAll(
    wanted: readonly WantedPart[],
    demand: Demand,
  ): Promise<readonly PartResult[]> {
    const isStopped = () => signal.aborted || demand.signal.aborted;
    const first = await makeOnce(wanted, demand);
    const isTaken = (_: WantedPart, place: number) => {
      const result = first[place];
      return result?.kind === "broken" && isGoneFromStore(result.error);
    };
    const taken = isStopped() ? [] : wanted.filter(isTaken);
    const again = taken.length === 0 ? [] : await makeOnce(taken, demand);
    return wanted.map((each, place) => {
      const result = again[taken.indexOf(each)] ?? first[place];
      if (result !== undefined && result.kind !== "broken") return result;
      if (isStopped()) return failedAsWhole({ kind: "cancelled" });
      throw result?.error ?? new Error(`no result of ${keyOf(each)}`);
    });
  }

  const making = joinBatches(keyOf, makeAll);
  // One at a time for each record: two cuts joined at once would each forget the other's.
  const coarsening = joinBatches<CutOfRecord, CoarsenedRecord>(
    (cut) => keyOfRecord(cut.record),
    (cuts) => Promise.all(cuts.map(coarsenOne)),
  );

  return {
    packings,
    stage(ingredients, form) {
      const derivations = packagesIn(ingredients).map(({ derivation }) => derivation);
      const realising = held.progress(derivations);
      if (realising !== undefined) return realising;
      // What is neither queued nor realised is being packed, or is there already.
      const parts = wantedParts(ingredients, form);
      return packingStage(new Set(parts.flatMap((each) => packing.get(keyOf(each)) ?? [])));
    },
    async known(ingredients, form) {
      const wanted = wantedParts(ingredients, form);
      const records = await Promise.all(wanted.map((each) => recallAt(keyOf(each))));
      const known = records.filter((record) => record !== undefined);
      return known.length < wanted.length ? undefined : known;
    },
    async failures(ingredients, form) {
      const wanted = wantedParts(ingredients, form);
      const recalled = await Promise.all(
        wanted.map(async (each) => ({ each, result: await recall(each) })),
      );
      return recalled.flatMap(({ each, result }) =>
        result?.kind === "failed"
          ? result.failures.flatMap((one) => named(one, each, ingredients))
          : [],
      );
    },
    async coarsen(cut) {
      const [result] = await coarsening.all([cut]);
      return result ?? { kind: "cancelled" };
    },
    async make(ingredients, form, demand) {
      const wanted = wantedParts(ingredients, form);
      const recalled = await Promise.all(wanted.map(recall));
      const open = wanted.filter((_, place) => recalled[place] === undefined);
      const made = open.length === 0 ? [] : await making.all(open, demand);
      open.forEach((each, place) => {
        const result = made[place];
        if (result !== undefined) remember(each, result);
      });
      const records: PackageRecord[] = [];
      const failures: NamedFailure[] = [];
      for (const [place, each] of wanted.entries()) {
        const result = recalled[place] ?? made[open.indexOf(each)];
        if (result === undefined) throw new Error(`no result of ${keyOf(each)}`);
        if (result.kind === "record") records.push(result.record);
        else failures.push(...result.failures.flatMap((one) => named(one, each, ingredients)));
      }
      return { records, failures, isRemembered: open.length === 0 };
    },
  };
}
