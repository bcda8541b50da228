// What `/api/index` tells of the indexes at the default tag: as much as a page needs to search them, which is
// their names and texts, and neither shards nor sets.

import { type Digest, parseDigest } from "../naming/digest.ts";
import { SYSTEMS, type System } from "../naming/recipe.ts";
import type { IndexRoot } from "./root.ts";

export interface IndexSummary {
  readonly system: System;
  readonly count: number;
  readonly isComplete: boolean;
  readonly madeAtMs: number;
  readonly names: Digest;
  readonly texts: Digest;
}

export function summaryOf(root: IndexRoot): IndexSummary {
  const { system, count, isComplete, madeAtMs, names, texts } = root;
  return { system, count, isComplete, madeAtMs, names: names.digest, texts: texts.digest };
}

/** What is told: nothing in it where there is no index yet. */
export function summariesJson(roots: readonly IndexRoot[]): unknown {
  return { indexes: roots.map(summaryOf) };
}

/** By a page, which trusts it no more than anything else that comes over the network. */
export function readSummaries(json: unknown): readonly IndexSummary[] {
  const indexes = fields(json).indexes;
  return Array.isArray(indexes) ? indexes.flatMap((each) => readSummary(fields(each)) ?? []) : [];
}

function readSummary(json: Readonly<Record<string, unknown>>): IndexSummary | undefined {
  const system = SYSTEMS.find((each) => each === json.system);
  const names = parseDigest(String(json.names));
  const texts = parseDigest(String(json.texts));
  if (system === undefined || names === undefined || texts === undefined) return undefined;
  const { count, isComplete, madeAtMs } = json;
  return {
    ...{ system, names, texts, isComplete: isComplete === true },
    ...{ count: Number(count), madeAtMs: Number(madeAtMs) },
  };
}

function fields(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
}
