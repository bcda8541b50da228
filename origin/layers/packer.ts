// The pool of packing threads. A request settles exactly once: when its layer is on disk, or when
// nothing writes to its destination any more. Which request comes next is the queue's business; a
// thread for which there is none helps with a layer that is large.

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { assertCompressors } from "./compression.ts";
import type { PackedLayer } from "./layer.ts";
import { beginHelp, endHelp, type Help, jobInNeed, mostHelpers, recall } from "./pack-help.ts";
import { createJob, type Job, type PackRequest, packTask, settle } from "./pack-job.ts";
import { createPackQueue } from "./pack-queue.ts";
import type { WorkerAnswer, WorkerTask } from "./pack-worker.ts";
import { finish } from "./shared-chunks.ts";

export interface Packer {
  /**
   * Rejects with an UnpackableError where a store path cannot be in a layer, and with the signal's
   * reason when aborted. Once it has settled nothing writes to the destination any more.
   */
  pack(request: PackRequest): Promise<PackedLayer>;
  /**
   * Starts all threads now and has them rehearse, so that the first layers do not wait for them.
   * Resolves when they are ready.
   */
  start(): Promise<void>;
  /** Gives up what is under way; resolves when the threads have ended. */
  close(): Promise<void>;
}

export interface PackerOptions {
  readonly workers?: number;
  /** Where the files of `/nix/store` really are. */
  readonly storeDirectory: string;
  /** The file that the threads run. */
  readonly program?: string;
}

export function createPacker({
  workers: workerLimit = availableParallelism(),
  storeDirectory,
  program = join(import.meta.dirname, "pack-worker.ts"),
}: PackerOptions): Packer {
  assertCompressors();
  const queue = createPackQueue<Job>();
  const idle: Worker[] = [];
  const running = new Map<Worker, Job>();
  const helping = new Map<Worker, Help>();
  /** With what to call when they are done. */
  const rehearsing = new Map<Worker, () => void>();
  let closed = false;

  const busy = () => running.size + helping.size + rehearsing.size;
  /** Takes a thread off what it does. */
  const release = (worker: Worker): Job | undefined => {
    const job = running.get(worker);
    const help = helping.get(worker);
    rehearsing.get(worker)?.();
    running.delete(worker);
    helping.delete(worker);
    rehearsing.delete(worker);
    if (job?.shared !== undefined) finish(job.shared);
    if (help !== undefined) endHelp(help);
    return job;
  };
  const onAnswer = (worker: Worker, answer: WorkerAnswer) => {
    const job = release(worker);
    if (job !== undefined) settle(job, answer);
    // Closing waits for the thread's end, which a process may only leave out for idle ones.
    if (closed) return;
    worker.unref();
    idle.push(worker);
    dispatch();
  };
  // A thread that ends takes its job with it, and is replaced when the next job needs one.
  const onEnd = (worker: Worker, reason: Error) => {
    const place = idle.indexOf(worker);
    if (place !== -1) idle.splice(place, 1);
    const help = helping.get(worker);
    // Whatever ended it might end the next.
    if (help !== undefined) help.job.isHelpable = false;
    release(worker)?.reject(closed ? new Error("the packer was closed") : reason);
    if (!closed) dispatch();
  };
  const assign = (task: WorkerTask): Worker => {
    const worker = idle.pop() ?? startThread(program, onAnswer, onEnd);
    worker.ref();
    worker.postMessage(task);
    return worker;
  };
  const dispatch = () => {
    while (idle.length > 0 || busy() < workerLimit) {
      const job = queue.next();
      const helped = job ?? jobInNeed(running.values());
      if (helped === undefined) return;
      if (job !== undefined) {
        const helpers = mostHelpers(job.request, workerLimit);
        running.set(assign(packTask(job, storeDirectory, helpers)), job);
      } else {
        const { help, task } = beginHelp(helped);
        helping.set(assign(task), help);
      }
    }
    // Layers that wait go before help. A helper is back within a chunk.
    [...helping.values()].slice(0, queue.count()).forEach(recall);
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
    start: async () => {
      const ready: Promise<void>[] = [];
      while (idle.length + busy() < workerLimit) {
        const worker = startThread(program, onAnswer, onEnd);
        ready.push(new Promise((resolve) => rehearsing.set(worker, resolve)));
        worker.postMessage({ kind: "rehearse" } satisfies WorkerTask);
      }
      await Promise.all(ready);
    },
    close: async () => {
      closed = true;
      for (let job = queue.next(); job !== undefined; job = queue.next()) {
        job.reject(new Error("the packer was closed"));
      }
      const threads = [...idle, ...running.keys(), ...helping.keys(), ...rehearsing.keys()];
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
