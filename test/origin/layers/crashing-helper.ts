// Packs layers as the real thread does; as a helper it ends with a chunk in its hands.

import { parentPort } from "node:worker_threads";
import { createChunkBuffer } from "../../../origin/layers/chunk-writer.ts";
import { packLayer } from "../../../origin/layers/layer.ts";
import type { HelpTask, WorkerAnswer, WorkerTask } from "../../../origin/layers/pack-worker.ts";
import { helpCompress } from "../../../origin/layers/shared-chunks.ts";
import type { Form } from "../../../registry/image/record.ts";

parentPort?.on("message", (message: WorkerTask) => {
  if (message.kind === "help") return crash(message);
  if (message.kind !== "pack") return;
  const { task, shared } = message;
  const layer = packLayer(task, createChunkBuffer(), { shared });
  parentPort?.postMessage({ kind: "packed", layer } satisfies WorkerAnswer);
});

/** Without a form, the first chunk it takes is its end. */
function crash({ shared, helper }: HelpTask): void {
  helpCompress(shared, undefined as unknown as Form, helper, () => false);
}
