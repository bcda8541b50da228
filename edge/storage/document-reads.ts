// Lookups, records and what an index says, of which composing an image takes many: from the isolate's memory,
// else from KV, a hundred with each read. A request may make so many reads; what is left unread then counts as
// unknown, and the origin, which knows no such limit, is asked.

import type { Digest } from "../../registry/naming/digest.ts";
import type { BriefMemory } from "../isolate/brief-memory.ts";
import type { Edge } from "../request/edge.ts";
import { readDocument } from "./document.ts";
import { attemptKv } from "./tiers.ts";

/** KV's limit on one bulk read. */
const MAX_KEYS_PER_READ = 100;
/**
 * As long as KV itself may answer with what is no longer there. None of them changes but by layers that a
 * record is given, by another root, and by a sweep, which spares what an answer of the last day names.
 */
const MEMORY_MS = 60_000;

/** What is read of one kind. */
export interface Reading<Value> {
  readonly memory: BriefMemory<Value>;
  readonly keys: readonly string[];
  readonly parse: (json: unknown) => Value | undefined;
  /** What never changes under its key is remembered for longer. */
  readonly lifeMs?: number;
  /** Of what is stored under its own digest. */
  readonly digestOf?: (key: string) => Digest | undefined;
}

export type Found<Value> = ReadonlyMap<string, Value>;

export async function readDocuments<Value>(
  edge: Edge,
  reading: Reading<Value>,
): Promise<Found<Value>> {
  const [found] = await readTogether<[Value]>(edge, [reading]);
  return found;
}

/** Several kinds with the same reads. */
export async function readTogether<Values extends readonly unknown[]>(
  edge: Edge,
  readings: { readonly [Kind in keyof Values]: Reading<Values[Kind]> },
): Promise<{ readonly [Kind in keyof Values]: Found<Values[Kind]> }> {
  const { reads } = edge;
  const nowMs = edge.now();
  const all = readings as readonly Reading<unknown>[];
  const found = all.map(() => new Map<string, unknown>());
  const unread = new Map<string, number>();
  for (const [kind, { memory, keys }] of all.entries()) {
    for (const key of new Set(keys)) {
      const value = memory.lookup(key, nowMs);
      if (value !== undefined) found[kind]?.set(key, value);
      else if (!reads.absent.has(key)) unread.set(key, kind);
    }
  }
  const digestOf = (key: string) => all[unread.get(key) ?? -1]?.digestOf?.(key);
  for (const { key, json, sizeBytes } of await readKv(edge, [...unread.keys()], digestOf)) {
    const kind = unread.get(key) ?? -1;
    const reading = all[kind];
    const value = reading?.parse(json);
    if (reading === undefined || value === undefined) {
      reads.absent.add(key);
      continue;
    }
    found[kind]?.set(key, value);
    const untilMs = nowMs + (reading.lifeMs ?? MEMORY_MS);
    reading.memory.store(key, value, { sizeBytes, fromMs: nowMs, untilMs });
  }
  return found as unknown as { readonly [Kind in keyof Values]: Found<Values[Kind]> };
}

interface ReadKey {
  readonly key: string;
  /** Undefined of what is absent. */
  readonly json: unknown;
  readonly sizeBytes: number;
}

/** Empty where KV says nothing. */
async function readKv(
  edge: Edge,
  keys: readonly string[],
  digestOf: (key: string) => Digest | undefined,
): Promise<readonly ReadKey[]> {
  if (keys.length === 0) return [];
  const slices = Array.from({ length: Math.ceil(keys.length / MAX_KEYS_PER_READ) }, (_, index) =>
    keys.slice(index * MAX_KEYS_PER_READ, (index + 1) * MAX_KEYS_PER_READ),
  ).slice(0, edge.reads.left);
  edge.reads.left -= slices.length;
  const maps = await attemptKv(edge, () =>
    Promise.all(slices.map((slice) => edge.kv.getWithMetadata(slice, "text"))),
  );
  return Promise.all(
    (maps ?? [])
      .flatMap((map) => [...map])
      .map(async ([key, found]) => {
        // Unlike what their types say, a local KV gives null for what it has not.
        const text = found?.value ?? null;
        if (text === null) return { key, json: undefined, sizeBytes: 0 };
        const json = await readDocument(edge, key, text, metadataOf(digestOf(key), found));
        return { key, json, sizeBytes: text.length };
      }),
  );
}

function metadataOf(digest: Digest | undefined, found: { readonly metadata: unknown } | null) {
  return digest === undefined ? found?.metadata : { digest };
}
