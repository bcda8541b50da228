// Has views drawn in a thread of its own, so that a package of many files keeps only those waiting who
// want a new package. A thread that ends takes what it was asked for with it, and is replaced.

import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { DrawResult, DrawView } from "./draw-view.ts";
import { withCode } from "./pack-job.ts";
import { UnpackableError } from "./tar.ts";
import type { ViewAnswer } from "./view-worker.ts";

export interface ViewThread {
  readonly draw: DrawView;
  /** Gives up what is under way; resolves when the thread has ended. */
  close(): Promise<void>;
}

interface Asked {
  readonly resolve: (result: DrawResult) => void;
  readonly reject: (reason: unknown) => void;
}

const PROGRAM = join(import.meta.dirname, "view-worker.ts");

/** Starts it now, so that the first who asks does not wait for it. */
export function startViewThread(storeDirectory: string, program: string = PROGRAM): ViewThread {
  /** The first is being drawn. */
  let asked: Asked[] = [];
  let closed = false;
  let worker: Worker | undefined = begin();

  function begin(): Worker {
    const started = new Worker(program, { workerData: storeDirectory });
    let cause: unknown;
    started.unref();
    started.on("message", (answer: ViewAnswer) => {
      const first = asked.shift();
      if (asked.length === 0) started.unref();
      if (first !== undefined) settle(first, answer);
    });
    started.on("error", (error) => {
      cause = error;
    });
    // Comes after every error, and alone where the thread just ends.
    started.on("exit", (code) => {
      worker = undefined;
      const lost = asked;
      asked = [];
      const why = closed ? "is closed" : `ended with code ${code}`;
      for (const { reject } of lost) reject(new Error(`the thread of views ${why}`, { cause }));
    });
    return started;
  }

  return {
    draw(wanted) {
      if (closed) return Promise.reject(new Error("the thread of views is closed"));
      const { promise, resolve, reject } = Promise.withResolvers<DrawResult>();
      worker ??= begin();
      asked.push({ resolve, reject });
      worker.ref();
      worker.postMessage(wanted);
      return promise;
    },
    async close() {
      closed = true;
      await worker?.terminate();
    },
  };
}

function settle({ resolve, reject }: Asked, answer: ViewAnswer): void {
  switch (answer.kind) {
    case "view":
    case "unfit":
      resolve(answer);
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
