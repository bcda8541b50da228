// Our packer as the benchmark uses it: in a child process that is timed like every rival.

import { type Sample, timeProgram } from "./measure.ts";
import { PACKING_CHILD, type PackingJob, type PackingReport } from "./packing-child.ts";

export interface TimedPacking {
  readonly sample: Sample;
  readonly report: PackingReport;
}

export async function packInChild(job: PackingJob): Promise<TimedPacking> {
  const { sample, stdout } = await timeProgram(process.execPath, [PACKING_CHILD], {
    input: JSON.stringify(job),
  });
  return { sample, report: JSON.parse(stdout) as PackingReport };
}

/** What the Go rival says of a layer. */
export interface BaselineLayer {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** The rival packs the groups one after another, each a layer; the files go to `destination`. */
export async function packWithBaseline(
  program: string,
  store: string,
  destination: string,
  groups: readonly (readonly string[])[],
): Promise<{ readonly sample: Sample; readonly layers: readonly BaselineLayer[] }> {
  const { sample, stdout } = await timeProgram(program, [store, destination], {
    input: JSON.stringify(groups),
  });
  return { sample, layers: JSON.parse(stdout) as readonly BaselineLayer[] };
}
