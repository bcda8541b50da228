// What the event stream of an image says: the stages of what is under way, then how it ended. Written by
// the origin, read by the page, by `nixport warm` and by anybody's program.

import * as v from "valibot";
import { digestSchema } from "../image/record.ts";
import type { Digest } from "../naming/digest.ts";
import { parseJson } from "./json.ts";

/** In their order, though an image may wait again for what it had before. */
export const STAGES = [
  "resolving",
  "fetching",
  "looking-up",
  "queued",
  "realising",
  "packing",
  "storing",
  "backfilling",
] as const;

export type StageKind = (typeof STAGES)[number];

export interface Counted {
  readonly done: number;
  /** 0 where nobody knows. */
  readonly expected: number;
}

export interface StageTold {
  readonly stage: StageKind;
  /** For people. */
  readonly said: string;
  /** Builds, layers: whatever the stage counts. */
  readonly counts: Counted | null;
  readonly bytes: Counted | null;
  /** Names of the derivations that are being built. */
  readonly running: readonly string[];
  readonly beganAtMs: number;
}

/** Whether the edge has all of it: not yet, as far as was waited for, or where there is none. */
export type EdgeHas = "all" | "not-yet" | "no-edge";

export type ProgressEvent =
  | { readonly event: "stage"; readonly data: StageTold }
  | { readonly event: "done" | "known"; readonly data: { digest: Digest; edge: EdgeHas } }
  | {
      readonly event: "failed";
      /** `log`: the last lines of the builders that failed. */
      readonly data: { readonly message: string; readonly log: readonly string[] };
    }
  /** Nothing is under way, and nothing has lately ended. */
  | { readonly event: "idle"; readonly data: Readonly<Record<string, never>> };

/** Beyond these a text is no event of ours. */
const MAX_TEXT = 20_000;
const MAX_LINES = 200;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT));
const texts = v.pipe(v.array(text), v.maxLength(MAX_LINES));
const counted = v.nullable(v.object({ done: v.number(), expected: v.number() }));
const ended = v.object({ digest: digestSchema, edge: v.picklist(["all", "not-yet", "no-edge"]) });

const eventSchema: v.GenericSchema<unknown, ProgressEvent> = v.variant("event", [
  v.object({
    event: v.literal("stage"),
    data: v.object({
      ...{ stage: v.picklist(STAGES), said: text, counts: counted, bytes: counted },
      ...{ running: texts, beganAtMs: v.number() },
    }),
  }),
  v.object({ event: v.picklist(["done", "known"]), data: ended }),
  v.object({ event: v.literal("failed"), data: v.object({ message: text, log: texts }) }),
  v.object({ event: v.literal("idle"), data: v.record(v.string(), v.never()) }),
]);

/** Undefined for what is none, such as that of a later version. */
export function parseProgress(event: string, data: string): ProgressEvent | undefined {
  const parsed = v.safeParse(eventSchema, { event, data: parseJson(data) });
  return parsed.success ? parsed.output : undefined;
}

/** Nothing comes after it. */
export function isLast({ event }: ProgressEvent): boolean {
  return event !== "stage";
}
