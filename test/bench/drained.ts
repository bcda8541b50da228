// Waits until the edge has been given everything.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const BACKFILL_DEADLINE_MS = 120_000;

export async function drained(storagePath: string): Promise<void> {
  const deadlineMs = performance.now() + BACKFILL_DEADLINE_MS;
  while ((await readdir(join(storagePath, "outbox"))).length > 0) {
    if (performance.now() > deadlineMs) throw new Error("the outbox is not emptied");
    await pause(200);
  }
}
