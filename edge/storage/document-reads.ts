// Lookups and records, of which composing an image takes many: from the isolate's memory, else from KV, a
// hundred with each read. A request may make so many reads; what is left unread then counts as unknown, and
// the origin, which knows no such limit, is asked.

import type { BriefMemory } from "../isolate/brief-memory.ts";
import type { Edge } from "../request/edge.ts";
import { readDocument } from "./document.ts";
import { attemptKv } from "./tiers.ts";

/** KV's limit on one bulk read. */
const MAX_KEYS_PER_READ = 100;
/**
 * As long as KV itself may answer with what is no longer there. None of them changes but by layers that a
 * record is given, and by a sweep, which spares what an answer of the last day names.
 */
const MEMORY_MS = 60_000;

export async function readDocuments<Value>(
  edge: Edge,
  memory: BriefMemory<Value>,
  keys: readonly string[],
  parse: (json: unknown) => Value | undefined,
): Promise<ReadonlyMap<string, Value>> {
  const { reads } = edge;
  const nowMs = edge.now();
  const found = new Map<string, Value>();
  const unread: string[] = [];
  for (const key of new Set(keys)) {
    const value = memory.lookup(key, nowMs);
    if (value !== undefined) found.set(key, value);
    else if (!reads.absent.has(key)) unread.push(key);
  }
  for (const { key, json, sizeBytes } of await readKv(edge, unread)) {
    const value = parse(json);
    if (value === undefined) {
      reads.absent.add(key);
      continue;
    }
    found.set(key, value);
    memory.store(key, value, { sizeBytes, fromMs: nowMs, untilMs: nowMs + MEMORY_MS });
  }
  return found;
}

interface ReadKey {
  readonly key: string;
  /** Undefined of what is absent. */
  readonly json: unknown;
  readonly sizeBytes: number;
}

/** Empty where KV says nothing. */
async function readKv(edge: Edge, keys: readonly string[]): Promise<readonly ReadKey[]> {
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
        const json = await readDocument(edge, key, text, found.metadata);
        return { key, json, sizeBytes: text.length };
      }),
  );
}
