// The thread that draws views, one after another in the order in which they are asked for.

import { parentPort, workerData } from "node:worker_threads";
import { type DrawResult, drawView, type ViewToDraw } from "./draw-view.ts";
import { UnpackableError } from "./tar.ts";

export type ViewAnswer =
  | DrawResult
  | { readonly kind: "unpackable"; readonly path: string; readonly reason: string }
  /** The code, such as ENOSPC, is apart: errors lose what is not standard between threads. */
  | { readonly kind: "failed"; readonly error: unknown; readonly code: string | undefined };

if (parentPort === null) throw new Error("view-worker.ts runs as a worker thread");
const port = parentPort;
const storeDirectory = String(workerData);
port.on("message", (wanted: ViewToDraw) => port.postMessage(perform(wanted)));

function perform(wanted: ViewToDraw): ViewAnswer {
  try {
    return drawView(wanted, storeDirectory);
  } catch (error) {
    if (error instanceof UnpackableError) {
      return { kind: "unpackable", path: error.path, reason: error.reason };
    }
    const isCoded = error instanceof Error && "code" in error;
    return { kind: "failed", error, code: isCoded ? String(error.code) : undefined };
  }
}
