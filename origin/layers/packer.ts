// The pool of packing threads. A request settles exactly once: when its layer is on disk, or when
// nothing writes to its destination any more. Which request comes next is the queue's business.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Form } from "../../registry/record.ts";
import { assertCompressors } from "./compression.ts";
import type { PackedLayer, SegmentTask } from "./layer.ts";
import { createPackQueue } from "./pack-queue.ts";
import type { WorkerAnswer, WorkerTask } from "./pack-worker.ts";
import { STORE_DIRECTORY, UnpackableError } from "./tar.ts";

export interface PackRequest {
  readonly segments: readonly SegmentTask[];
  readonly form: Form;
  /** An absolute path. Written and synced; the caller renames it, or removes it after a failure. */
  readonly destination: string;
  /** What the paths take in the store: only for the order of work. */
  readonly sizeBytes: number;
  /** Whose layer it is: requests of one group are ordered among themselves. */
  readonly group: string;
  readonly signal?: AbortSignal;
}

export interface Packer {
  /**
   * Rejects with an UnpackableError where a store path cannot be in a layer, and with the signal's
   * reason when aborted. Once it has settled nothing writes to the destination any more.
   */
  pack(request: PackRequest): Promise<PackedLayer>;
  /** Gives up what is under way; resolves when the threads have ended. */
  close(): Promise<void>;
}

export interface PackerOptions {
  readonly workers?: number;
  readonly storeDirectory?: string;
  /** The file that the threads run. */
  readonly program?: string;
}

interface Job {
  readonly request: PackRequest;
  readonly cancelled: Int32Array;
  readonly resolve: (layer: PackedLayer) => void;
  readonly reject: (reason: unknown) => void;
}

export function createPacker({
  workers: workerLimit = availableParallelism(),
  storeDirectory = STORE_DIRECTORY,
  program = join(import.meta.dirname, "pack-worker.ts"),
}: PackerOptions = {}): Packer {
  assertCompressors();
  const queue = createPackQueue<Job>();
  const idle: Worker[] = [];
  const running = new Map<Worker, Job>();
  let closed = false;

  const release = (worker: Worker): Job | undefined => {
    const job = running.get(worker);
    running.delete(worker);
    return job;
  };
  const onAnswer = (worker: Worker, answer: WorkerAnswer) => {
    const job = release(worker);
    // An idle thread is no reason for the process to stay.
    worker.unref();
    idle.push(worker);
    if (job !== undefined) settle(job, answer);
    dispatch();
  };
  // A thread that ends takes its job with it, and is replaced when the next job needs one.
  const onEnd = (worker: Worker, reason: Error) => {
    const place = idle.indexOf(worker);
    if (place !== -1) idle.splice(place, 1);
    release(worker)?.reject(closed ? new Error("the packer was closed") : reason);
    if (!closed) dispatch();
  };
  const dispatch = () => {
    while (idle.length > 0 || running.size < workerLimit) {
      const job = queue.next();
      if (job === undefined) return;
      const worker = idle.pop() ?? startThread(program, onAnswer, onEnd);
      running.set(worker, job);
      worker.ref();
      const { segments, form, destination } = job.request;
      const task = { segments, form, destination, storeDirectory };
      worker.postMessage({ task, cancelled: job.cancelled } satisfies WorkerTask);
    }
  };

  return {
    pack: (request) =>
      new Promise<PackedLayer>((resolve, reject) => {
        if (closed) throw new Error("the packer is closed");
        request.signal?.throwIfAborted();
        const job = createJob(request, resolve, reject, (aborted) => {
          // A running job settles when its thread has answered: until then its file is written to.
          if (queue.remove(aborted)) aborted.reject(request.signal?.reason);
          else Atomics.store(aborted.cancelled, 0, 1);
        });
        queue.add(job);
        dispatch();
      }),
    close: async () => {
      closed = true;
      for (let job = queue.next(); job !== undefined; job = queue.next()) {
        job.reject(new Error("the packer was closed"));
      }
      const threads = [...idle, ...running.keys()];
      await Promise.all(threads.map((worker) => worker.terminate()));
    },
  };
}

function startThread(
  program: string,
  onAnswer: (worker: Worker, answer: WorkerAnswer) => void,
  onEnd: (worker: Worker, reason: Error) => void,
): Worker {
  const worker = new Worker(program);
  let cause: unknown;
  worker.on("message", (answer: WorkerAnswer) => onAnswer(worker, answer));
  worker.on("error", (error) => {
    cause = error;
  });
  // Comes after every error, and alone where the thread just ends.
  worker.on("exit", (code) => {
    onEnd(worker, new Error(`the packing thread ended with code ${code}`, { cause }));
  });
  return worker;
}

function settle({ request, resolve, reject }: Job, answer: WorkerAnswer): void {
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
    default:
      answer satisfies never;
  }
}

function withCode(error: unknown, code: string | undefined): unknown {
  return error instanceof Error && code !== undefined ? Object.assign(error, { code }) : error;
}

/** Ties the signal to the job for as long as the job is not settled. */
function createJob(
  request: PackRequest,
  resolve: (layer: PackedLayer) => void,
  reject: (reason: unknown) => void,
  onAbort: (job: Job) => void,
): Job {
  const abort = () => onAbort(job);
  const untie = () => request.signal?.removeEventListener("abort", abort);
  const job: Job = {
    request,
    cancelled: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
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
