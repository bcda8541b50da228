// Gathers what operators are told of this origin, from whoever knows it: nothing is asked for that would wait.

import { statfs } from "node:fs/promises";
import type { IndexTold, OperatorView, Queue } from "../../registry/http/operator-view.ts";
import type { Outbox } from "../backfill/outbox.ts";
import { availableMemoryBytes, machineMemoryBytes } from "../nix/machine-memory.ts";
import type { NixTool } from "../nix/nix-tool.ts";
import type { IndexState } from "../package-index/background.ts";
import type { ProgressFeed } from "../progress/feed.ts";
import type { RecentBuilds } from "../pulling/recent-builds.ts";
import type { QueueState } from "../waiting/slots.ts";
import type { StorageUse } from "./storage-use.ts";

export interface ToldToOperators {
  readonly builds: Pick<RecentBuilds, "made" | "failed">;
  readonly feed: Pick<ProgressFeed, "underWay">;
  readonly queues: Readonly<Record<string, () => QueueState>>;
  readonly outbox: Pick<Outbox, "state"> | null;
  readonly indexes: () => readonly IndexState[];
  readonly trackedTags: () => readonly string[];
  readonly packings: Readonly<Record<string, string>>;
  readonly storage: Pick<StorageUse, "told">;
  readonly nix: Pick<NixTool, "version" | "storeDirectory">;
  readonly now: () => number;
}

const MAX_TAGS = 100;
const MAX_REASON_CHARACTERS = 2000;

export async function operatorView(from: ToldToOperators): Promise<OperatorView> {
  const atMs = from.now();
  return {
    atMs,
    process: {
      startedAtMs: atMs - Math.round(1000 * process.uptime()),
      node: process.version,
      nix: from.nix.version,
      residentBytes: process.memoryUsage.rss(),
      availableBytes: availableMemoryBytes(),
      machineBytes: machineMemoryBytes(),
    },
    builds: from.builds.made(),
    failures: from.builds.failed(),
    underWay: from.feed.underWay(),
    queues: Object.entries(from.queues).map(([name, state]): Queue => ({ name, ...state() })),
    outbox: from.outbox?.state() ?? null,
    indexes: from.indexes().map(indexTold),
    trackedTags: from.trackedTags().slice(0, MAX_TAGS),
    packings: Object.entries(from.packings).map(([form, packing]) => ({ form, packing })),
    storage: from.storage.told(),
    nixStore: await roomAt(from.nix.storeDirectory),
  };
}

function indexTold(state: IndexState): IndexTold {
  const { pin, system, tags, sinceMs, kind } = state;
  return {
    ...{ pin, system, tags: tags.slice(0, MAX_TAGS), sinceMs, state: kind },
    names: kind === "evaluating" ? state.done : kind === "complete" ? state.count : null,
    ofNames: kind === "evaluating" ? state.total : null,
    reason: kind === "failed" ? state.reason.slice(0, MAX_REASON_CHARACTERS) : null,
  };
}

/** As much of it as others than root may have. */
async function roomAt(path: string): Promise<OperatorView["nixStore"]> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    return { path, freeBytes: bavail * bsize, bytes: blocks * bsize };
  } catch {
    return null;
  }
}
