// The thread that packs layers, one at a time, from start to end without giving way. It cannot
// receive messages meanwhile, so a cancelled task is announced in shared memory.

import { parentPort } from "node:worker_threads";
import { createChunkBuffer } from "./chunk-writer.ts";
import { type LayerTask, type PackedLayer, packLayer } from "./layer.ts";
import { UnpackableError } from "./tar.ts";

export interface WorkerTask {
  readonly task: LayerTask;
  /** One word: anything but zero asks to stop at the next chunk. */
  readonly cancelled: Int32Array;
}

export type WorkerAnswer =
  | { readonly kind: "packed"; readonly layer: PackedLayer }
  | { readonly kind: "cancelled" }
  | { readonly kind: "unpackable"; readonly path: string; readonly reason: string }
  /** The code, such as ENOSPC, is apart: errors lose what is not standard between threads. */
  | { readonly kind: "failed"; readonly error: unknown; readonly code: string | undefined };

class Cancelled extends Error {}

if (parentPort === null) throw new Error("pack-worker.ts runs as a worker thread");
const port = parentPort;
const buffer = createChunkBuffer();
port.on("message", (message: WorkerTask) => port.postMessage(perform(message)));

function perform({ task, cancelled }: WorkerTask): WorkerAnswer {
  const checkpoint = () => {
    if (Atomics.load(cancelled, 0) !== 0) throw new Cancelled();
  };
  try {
    checkpoint();
    return { kind: "packed", layer: packLayer(task, buffer, checkpoint) };
  } catch (error) {
    if (error instanceof Cancelled) return { kind: "cancelled" };
    if (error instanceof UnpackableError) {
      return { kind: "unpackable", path: error.path, reason: error.reason };
    }
    const isCoded = error instanceof Error && "code" in error;
    return { kind: "failed", error, code: isCoded ? String(error.code) : undefined };
  }
}
