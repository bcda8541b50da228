// What pulls have had built lately and what failed, for whoever operates the origin: of an image the last of
// either kind, so that one client that asks over and over does not hide the others.

import { cut } from "../../registry/failures/public-text.ts";
import type { FailedBuild, MadeBuild } from "../../registry/http/operator-view.ts";
import type { WorkEnd } from "../progress/watched-work.ts";

export interface RecentBuilds {
  /** A pull of what was there already, and one that found no room, are none. */
  note(build: Omit<MadeBuild, "endedAtMs">, end: WorkEnd): void;
  /** The newest first. */
  made(): readonly MadeBuild[];
  failed(): readonly FailedBuild[];
}

export const MAX_RECENT = 50;
const MAX_MESSAGE_CHARACTERS = 2000;

export function createRecentBuilds(now: () => number): RecentBuilds {
  const made = new Map<string, MadeBuild>();
  const failed = new Map<string, FailedBuild>();
  return {
    note({ image, tag, ms, newBytes }, end) {
      const build = { image, tag, ms, endedAtMs: now() };
      switch (end.kind) {
        case "made":
          if (newBytes > 0) keep(made, { ...build, newBytes });
          return;
        case "failed":
          keep(failed, { ...build, message: cut(end.message, MAX_MESSAGE_CHARACTERS) });
          return;
        case "refused":
          return;
        default:
          return end satisfies never;
      }
    },
    made: () => [...made.values()].reverse(),
    failed: () => [...failed.values()].reverse(),
  };
}

function keep<Build extends Pick<MadeBuild, "image" | "tag">>(
  builds: Map<string, Build>,
  build: Build,
): void {
  const key = `${build.image}:${build.tag}`;
  builds.delete(key);
  builds.set(key, build);
  const [oldest] = builds.keys();
  if (builds.size > MAX_RECENT && oldest !== undefined) builds.delete(oldest);
}
