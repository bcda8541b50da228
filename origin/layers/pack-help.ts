// Which layers threads without a layer of their own help with, and until when.

import type { Job, PackRequest } from "./pack-job.ts";
import type { HelpTask } from "./pack-worker.ts";
import { admitHelper, createFlag, dismissHelper, wakeHelpers } from "./shared-chunks.ts";

/** Below this a layer is done before a thread that is started for it. */
const HELP_MIN_SIZE_BYTES = 16 << 20;
/** Reading, hashing and writing stay with one thread: it could not keep more of them busy. */
const MOST_HELPERS = 3;

export interface Help {
  readonly job: Job;
  /** Tells it from the job's other helpers, now and before. */
  readonly helper: number;
  readonly recalled: Int32Array;
}

export function mostHelpers({ segments, sizeBytes }: PackRequest, workerLimit: number): number {
  const isLarge = sizeBytes >= HELP_MIN_SIZE_BYTES;
  const compresses = segments.some(({ stored }) => stored === undefined);
  return isLarge && compresses ? Math.min(MOST_HELPERS, workerLimit - 1) : 0;
}

/** The running job that gains most from one helper more. */
export function jobInNeed(running: Iterable<Job>): Job | undefined {
  const share = ({ request, helpers }: Job) => request.sizeBytes / (helpers + 1);
  const canTake = ({ shared, isHelpable, helpers }: Job) =>
    shared !== undefined && isHelpable && helpers < MOST_HELPERS;
  return [...running].filter(canTake).sort((a, b) => share(b) - share(a))[0];
}

let lastHelper = 0;

export function beginHelp(job: Job): { readonly help: Help; readonly task: HelpTask } {
  const { shared, request } = job;
  if (shared === undefined) throw new Error("a job without shared chunks has no use for help");
  lastHelper += 1;
  job.helpers += 1;
  admitHelper(shared);
  const help = { job, helper: lastHelper, recalled: createFlag() };
  const { helper, recalled } = help;
  return { help, task: { kind: "help", shared, form: request.form, helper, recalled } };
}

export function recall({ job, recalled }: Help): void {
  Atomics.store(recalled, 0, 1);
  if (job.shared !== undefined) wakeHelpers(job.shared);
}

export function endHelp({ job, helper }: Help): void {
  job.helpers -= 1;
  if (job.shared !== undefined) dismissHelper(job.shared, helper);
}
