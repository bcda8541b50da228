// Logs how far the images are that are being waited for: a line when one has come to another stage
// and stays there for a moment, and few of them however many images are under way.

import type { Tag } from "../../registry/naming/reference.ts";
import { describeStage } from "../failures/failures.ts";
import type { Log } from "../log/log.ts";
import type { Stage, Wait } from "../waiting/hold-request.ts";

export interface WaitedImage {
  readonly image: string;
  readonly tag: Tag;
}

export interface StageLog {
  /** Does the work, which is given a wait that tells the log too what is being waited for. */
  watch<Result>(
    waited: WaitedImage,
    wait: Wait,
    work: (wait: Wait) => Promise<Result>,
  ): Promise<Result>;
}

export interface StageLogOptions {
  readonly log: Pick<Log, "info">;
  readonly now: () => number;
}

export const LOOK_EVERY_MS = 1000;
/** Of all images together, each time. */
const MAX_LINES = 5;
/** How far a download is changes each time; its line is written again after so many of them. */
const SAME_STEP_LOOKS = 5;

interface Watched {
  readonly waited: WaitedImage;
  readonly startedMs: number;
  /** Pulls of one image are one build. */
  pulls: number;
  stage: () => Stage;
  step: string;
  said: string;
  saidAtLook: number;
}

export function createStageLog({ log, now }: StageLogOptions): StageLog {
  /** Those that were told of longest ago first. */
  const watched = new Map<string, Watched>();
  let timer: NodeJS.Timeout | undefined;
  let looks = 0;

  function look(): void {
    looks += 1;
    let lines = 0;
    for (const [key, one] of [...watched]) {
      if (lines === MAX_LINES) return;
      const stage = one.stage();
      const said = describeStage(stage);
      const step = stepOf(stage);
      const isDue = step !== one.step || looks - one.saidAtLook >= SAME_STEP_LOOKS;
      if (!isDue || said === one.said) continue;
      Object.assign(one, { step, said, saidAtLook: looks });
      watched.delete(key);
      watched.set(key, one);
      log.info({ ...one.waited, ms: now() - one.startedMs, stage: stage.kind, said }, "under way");
      lines += 1;
    }
  }

  function enter(waited: WaitedImage): Watched {
    const key = keyOf(waited);
    const one = watched.get(key) ?? {
      ...{ waited, startedMs: now(), pulls: 0, step: "", said: "", saidAtLook: 0 },
      stage: () => ({ kind: "looking-up" as const }),
    };
    one.pulls += 1;
    watched.set(key, one);
    timer ??= setInterval(look, LOOK_EVERY_MS).unref();
    return one;
  }

  function leave(one: Watched): void {
    one.pulls -= 1;
    if (one.pulls === 0) watched.delete(keyOf(one.waited));
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    async watch(waited, wait, work) {
      const one = enter(waited);
      const onStage = (stage: () => Stage) => {
        one.stage = stage;
        wait.onStage(stage);
      };
      try {
        return await work({ ...wait, onStage });
      } finally {
        leave(one);
      }
    },
  };
}

function keyOf({ image, tag }: WaitedImage): string {
  return `${image}:${tag}`;
}

/** What is being done, without how far it is. */
function stepOf(stage: Stage): string {
  if (stage.kind !== "realising") return stage.kind;
  const { builds } = stage.progress;
  return builds.running.length === 0 ? stage.kind : JSON.stringify([builds.done, builds.running]);
}
