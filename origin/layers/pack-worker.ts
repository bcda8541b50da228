// The thread that packs layers, one at a time, from start to end without giving way, or helps
// another to compress its layer. It cannot receive messages meanwhile, so a cancelled or recalled
// task is announced in shared memory.

import { devNull } from "node:os";
import { basename, dirname } from "node:path";
import { parentPort } from "node:worker_threads";
import type { Form } from "../../registry/image/record.ts";
import type { StorePath } from "../../registry/naming/store-path.ts";
import { createChunkBuffer } from "./chunk-writer.ts";
import { type LayerTask, type PackedLayer, packLayer } from "./layer.ts";
import { helpCompress, type SharedChunks } from "./shared-chunks.ts";
import { UnpackableError } from "./tar.ts";

export interface PackTask {
  readonly kind: "pack";
  readonly task: LayerTask;
  /** One word: anything but zero asks to stop at the next chunk. */
  readonly cancelled: Int32Array;
  /** Where helpers may find its chunks. */
  readonly shared: SharedChunks | undefined;
}

export interface HelpTask {
  readonly kind: "help";
  readonly shared: SharedChunks;
  readonly form: Form;
  readonly helper: number;
  /** One word, as `cancelled`. */
  readonly recalled: Int32Array;
}

/** Gets ready to pack. */
export interface RehearseTask {
  readonly kind: "rehearse";
}

export type WorkerTask = PackTask | HelpTask | RehearseTask;

export type WorkerAnswer =
  | { readonly kind: "packed"; readonly layer: PackedLayer }
  | { readonly kind: "cancelled" }
  | { readonly kind: "unpackable"; readonly path: string; readonly reason: string }
  /** The code, such as ENOSPC, is apart: errors lose what is not standard between threads. */
  | { readonly kind: "failed"; readonly error: unknown; readonly code: string | undefined }
  /** The end of a help or of a rehearsal, which have no result. */
  | { readonly kind: "helped" | "rehearsed" };

class Cancelled extends Error {}

if (parentPort === null) throw new Error("pack-worker.ts runs as a worker thread");
const port = parentPort;
const buffer = createChunkBuffer();
port.on("message", (message: WorkerTask) => port.postMessage(perform(message)));

function perform(message: WorkerTask): WorkerAnswer {
  switch (message.kind) {
    case "pack":
      return pack(message);
    case "help":
      helpCompress(
        message.shared,
        message.form,
        message.helper,
        () => Atomics.load(message.recalled, 0) !== 0,
      );
      return { kind: "helped" };
    case "rehearse":
      rehearse();
      return { kind: "rehearsed" };
    default:
      return message satisfies never;
  }
}

/** Takes a tenth of a second. */
const REHEARSALS = 6;

/**
 * Packs this program's own files to nowhere, so that what packs is compiled before it is needed: a
 * cold image of 117 MB takes 4 % less time.
 */
function rehearse(): void {
  const folder = dirname(import.meta.dirname);
  const storePath = `/nix/store/${basename(folder)}` as StorePath;
  const task = { destination: devNull, storeDirectory: dirname(folder), form: "zstd" } as const;
  try {
    for (let time = 0; time < REHEARSALS; time += 1) {
      packLayer({ ...task, segments: [{ storePath }] }, buffer);
    }
  } catch {
    // Files that cannot be packed are no reason for having no threads.
  }
}

function pack({ task, cancelled, shared }: PackTask): WorkerAnswer {
  const checkpoint = () => {
    if (Atomics.load(cancelled, 0) !== 0) throw new Cancelled();
  };
  try {
    checkpoint();
    return { kind: "packed", layer: packLayer(task, buffer, { checkpoint, shared }) };
  } catch (error) {
    if (error instanceof Cancelled) return { kind: "cancelled" };
    if (error instanceof UnpackableError) {
      return { kind: "unpackable", path: error.path, reason: error.reason };
    }
    const isCoded = error instanceof Error && "code" in error;
    return { kind: "failed", error, code: isCoded ? String(error.code) : undefined };
  }
}
