// Stands in for a packing thread: answers at once with the length of the path's name as its size,
// and ends as a crashed thread does where the name says so.

import { parentPort } from "node:worker_threads";
import type { WorkerAnswer, WorkerTask } from "../../../origin/layers/pack-worker.ts";
import { parseDigest } from "../../../registry/naming/digest.ts";
import { storePathName } from "../../../registry/naming/store-path.ts";

parentPort?.on("message", (message: WorkerTask) => {
  if (message.kind !== "pack") return;
  const { task } = message;
  const name = task.segments.map(({ storePath }) => storePathName(storePath)).join();
  if (name === "exit") process.exit(3);
  if (name === "throw") throw new Error("thrown");
  const digest = parseDigest(`sha256:${"0".repeat(64)}`);
  if (digest === undefined) throw new Error("no digest");
  const layer = { digest, diffId: digest, sizeBytes: name.length, tarSizeBytes: 0, segments: [] };
  parentPort?.postMessage({ kind: "packed", layer } satisfies WorkerAnswer);
});
