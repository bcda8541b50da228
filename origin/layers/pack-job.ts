// A request to the packer from when it is made until it settles.

import type { Form } from "../../registry/image/record.ts";
import type { PackedLayer, SegmentTask } from "./layer.ts";
import type { PackTask, WorkerAnswer } from "./pack-worker.ts";
import { createFlag, createSharedChunks, type SharedChunks } from "./shared-chunks.ts";
import { UnpackableError } from "./tar.ts";

export interface PackRequest {
  readonly segments: readonly SegmentTask[];
  /** The tar entries of a view that the layer holds besides. */
  readonly viewTar?: Uint8Array | undefined;
  readonly form: Form;
  /** An absolute path. Written; the caller syncs and renames it, or removes it after a failure. */
  readonly destination: string;
  /** What the paths take in the store: only for the order of work and the threads it is worth. */
  readonly sizeBytes: number;
  /** Whose layer it is: requests of one group are ordered among themselves. */
  readonly group: string;
  readonly signal?: AbortSignal;
}

export interface Job {
  readonly request: PackRequest;
  readonly cancelled: Int32Array;
  /** Once it runs, and only where help can pay. */
  shared: SharedChunks | undefined;
  /** How many there are now. */
  helpers: number;
  isHelpable: boolean;
  readonly resolve: (layer: PackedLayer) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a thread is told to pack it, which others may help. */
export function packTask(job: Job, storeDirectory: string, mostHelpers: number): PackTask {
  const { segments, viewTar, form, destination } = job.request;
  if (mostHelpers > 0) job.shared = createSharedChunks(mostHelpers);
  const task = { segments, viewTar, form, destination, storeDirectory };
  return { kind: "pack", task, cancelled: job.cancelled, shared: job.shared };
}

export function settle({ request, resolve, reject }: Job, answer: WorkerAnswer): void {
  switch (answer.kind) {
    case "packed":
      resolve(answer.layer);
      break;
    case "cancelled":
      reject(request.signal?.reason);
      break;
    case "unpackable":
      reject(new UnpackableError(answer.path, answer.reason));
      break;
    case "failed":
      reject(withCode(answer.error, answer.code));
      break;
    case "helped":
    case "rehearsed":
      reject(new Error("the packing thread answered for another task"));
      break;
    default:
      answer satisfies never;
  }
}

/** As it was in its thread: the code, such as ENOSPC, says whose fault it is. */
export function withCode(error: unknown, code: string | undefined): unknown {
  return error instanceof Error && code !== undefined ? Object.assign(error, { code }) : error;
}

/** Ties the signal to the job for as long as the job is not settled. */
export function createJob(
  request: PackRequest,
  resolve: (layer: PackedLayer) => void,
  reject: (reason: unknown) => void,
  onAbort: (job: Job) => void,
): Job {
  const abort = () => onAbort(job);
  const untie = () => request.signal?.removeEventListener("abort", abort);
  const job: Job = {
    request,
    cancelled: createFlag(),
    shared: undefined,
    helpers: 0,
    isHelpable: true,
    resolve: (layer) => {
      untie();
      resolve(layer);
    },
    reject: (reason) => {
      untie();
      reject(reason);
    },
  };
  request.signal?.addEventListener("abort", abort, { once: true });
  return job;
}
