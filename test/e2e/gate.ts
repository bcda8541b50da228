// A fifo that a builder reads from, so that a test decides when a build goes on.

import { open } from "node:fs/promises";

/** Writes to the gate for as long as builders wait at it. */
export async function letThrough(gate: string, until: Promise<unknown>): Promise<void> {
  const done = until.then(
    () => true,
    () => true,
  );
  for (;;) {
    const opened = open(gate, "w").then(async (file) => {
      await file.write("go\n").catch(() => undefined);
      await file.close();
      return false;
    });
    if (await Promise.race([done, opened])) {
      // A reader of one's own ends an open that no builder answers any more.
      const reader = await open(gate, "r+");
      await opened;
      await reader.close();
      return;
    }
  }
}
