// A stage as its watchers are told of it: what it counts as numbers, and the same in words. Names of
// derivations are the package set's own, and of any length and number.

import { cut, publicText } from "../../registry/failures/public-text.ts";
import type { LayersDone } from "../../registry/http/building.ts";
import type { Counted, StageTold } from "../../registry/http/progress.ts";
import { describeStage } from "../failures/failures.ts";
import type { Stage } from "../waiting/hold-request.ts";

const MAX_RUNNING = 10;
const MAX_NAME_CHARACTERS = 200;
const MAX_SAID_CHARACTERS = 1000;

export function tellStage(stage: Stage, beganAtMs: number): StageTold {
  return {
    stage: stage.kind,
    said: cut(publicText(describeStage(stage)), MAX_SAID_CHARACTERS),
    ...numbersOf(stage),
    running: runningOf(stage),
    beganAtMs,
  };
}

function numbersOf(stage: Stage): Pick<StageTold, "counts" | "bytes"> {
  switch (stage.kind) {
    case "resolving":
    case "looking-up":
    case "queued":
      return { counts: null, bytes: null };
    case "fetching":
      return { counts: null, bytes: bytesOf(stage) };
    case "realising": {
      const { builds, downloads } = stage.progress;
      const expected = Math.max(builds.expected, builds.done + builds.running.length);
      return {
        counts: expected === 0 ? null : { done: builds.done, expected },
        bytes: bytesOf(downloads),
      };
    }
    case "packing":
    case "storing":
    case "backfilling":
      return layersOf(stage.layers);
    default:
      return stage satisfies never;
  }
}

function layersOf(layers: LayersDone | undefined): Pick<StageTold, "counts" | "bytes"> {
  if (layers === undefined) return { counts: null, bytes: null };
  const { done, expected } = layers;
  return { counts: { done, expected }, bytes: bytesOf(layers) };
}

function bytesOf({
  doneBytes: done,
  expectedBytes: expected,
}: Pick<LayersDone, "doneBytes" | "expectedBytes">): Counted | null {
  return done === 0 && expected === 0 ? null : { done, expected };
}

function runningOf(stage: Stage): readonly string[] {
  if (stage.kind !== "realising") return [];
  const { running } = stage.progress.builds;
  return running.slice(0, MAX_RUNNING).map((name) => cut(publicText(name), MAX_NAME_CHARACTERS));
}
