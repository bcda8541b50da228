// How time is measured: everything as a child process, whose wall clock and processor time with
// that of all its children bash's `time` reports, the same way for every rival. Rivals take turns,
// and every second round goes backwards, so that a change in the machine's load meets all alike.

import { readFile } from "node:fs/promises";
import { runProgram } from "./processes.ts";

export interface Sample {
  readonly wallSeconds: number;
  /** User and system, of the process and of all it waited for. */
  readonly cpuSeconds: number;
}

export interface TimedRun {
  readonly sample: Sample;
  readonly stdout: string;
}

const TIMED = 'TIMEFORMAT="%R %U %S"; time "$0" "$@"';

export async function timeProgram(
  program: string,
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: Readonly<Record<string, string | undefined>>;
  } = {},
): Promise<TimedRun> {
  const { stdout, stderr } = await runProgram("bash", ["-c", TIMED, program, ...args], options);
  const times = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)\n?$/m.exec(stderr.slice(-40));
  if (times === null) throw new Error(`bash reported no times for ${program}: ${stderr}`);
  const [wall = 0, user = 0, system = 0] = times.slice(1).map(Number);
  return { sample: { wallSeconds: wall, cpuSeconds: user + system }, stdout };
}

/** A pipeline, or anything else a shell runs. */
export function timeShell(script: string): Promise<TimedRun> {
  return timeProgram("bash", ["-c", `set -eo pipefail; ${script}`]);
}

const TICKS_PER_SECOND = 100;

/** What a running process has used so far, with the children it has waited for. */
export async function usedCpuSeconds(pid: number): Promise<number> {
  return (await cpuSecondsOf(pid)).reduce((sum, seconds) => sum + seconds, 0);
}

/** Of these children alone. */
export async function childrenCpuSeconds(pid: number): Promise<number> {
  const [, , user = 0, system = 0] = await cpuSecondsOf(pid);
  return user + system;
}

async function cpuSecondsOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1");
  // The name, in brackets, may hold spaces (proc(5)); utime is the 12th field after it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).map((ticks) => Number(ticks) / TICKS_PER_SECOND);
}

export async function peakRssBytes(pid: number): Promise<number> {
  return peakRssIn(await readFile(`/proc/${pid}/status`, "latin1"));
}

/** Of `/proc/<pid>/status`; not a number where the process has ended. */
export function peakRssIn(status: string): number {
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
}

export type Measure<Result> = (round: number) => Promise<Result>;

/** Every case once a round. The samples of each case are in the order of the rounds. */
export async function interleave<Name extends string, Result>(
  cases: readonly (readonly [Name, Measure<Result>])[],
  rounds: number,
): Promise<ReadonlyMap<Name, readonly Result[]>> {
  const results = new Map<Name, Result[]>(cases.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? cases : cases.toReversed();
    for (const [name, measure] of order) results.get(name)?.push(await measure(round));
  }
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The value that `share` of them are not above. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface Compared {
  /** Of the medians. */
  readonly ratio: number;
  /** Least and most of the rounds, as in `4.8-5.6`. */
  readonly range: string;
}

/** `over` divided by `under`, taken in the same rounds. */
export function compare(over: readonly number[], under: readonly number[]): Compared {
  const ratios = over.map((value, round) => value / (under[round] ?? Number.NaN));
  const digits = (value: number) => value.toFixed(2);
  return {
    ratio: median(over) / median(under),
    range: `${digits(Math.min(...ratios))}-${digits(Math.max(...ratios))}`,
  };
}
