// Writes a self-contained package-set folder, with one lock for each machine type, from Debian's
// index: the command line and `generateDebianSet` for the programs that call it.

import { readFile } from "node:fs/promises";
import { join, resolve as resolvePath } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type AptIndex, AptIndexAbsent, readAptIndex } from "./apt-index.ts";
import { nativeTarget, TARGETS, type Target } from "./architectures.ts";
import { type Busybox, bringBusybox } from "./busybox.ts";
import { fetchForeignIndex } from "./foreign-index.ts";
import { busyboxFileName, type Lock, lockFileName, popularityOf } from "./lock.ts";
import { type LockSummary, makeLock, summarise } from "./make-lock.ts";
import { TABLES, type Tables, TOOL_TABLES, UNCOUNTED } from "./packages.ts";
import { resolve } from "./resolve.ts";
import { CommandError } from "./run.ts";
import { writeSetFolder } from "./set-folder.ts";

export interface GenerateOptions {
  readonly outDir: string;
  // Gives the index of another architecture than the machine's.
  readonly foreignIndex?: (architecture: string) => Promise<AptIndex>;
}

export interface Summary {
  readonly outDir: string;
  readonly changed: boolean;
  // The machine's own first.
  readonly locks: readonly LockSummary[];
  // Other machine types for which no lock could be made now, and why.
  readonly absent: readonly Absent[];
}

interface Absent {
  readonly architecture: string;
  readonly reason: string;
  // Whether the folder has the lock of an earlier time instead.
  readonly isKept: boolean;
}

export class DebianSetError extends Error {
  readonly problems: readonly string[];

  constructor(architecture: string, problems: readonly string[]) {
    super(
      `the Debian package set cannot be generated for ${architecture}:\n${problems.join("\n")}`,
    );
    this.name = "DebianSetError";
    this.problems = problems;
  }
}

interface Locked {
  readonly target: Target;
  readonly lock: Lock;
  readonly summary: LockSummary;
}

// Throws where the machine's own lock cannot be made; a set without the others is a set.
export async function generateDebianSet(options: GenerateOptions): Promise<Summary> {
  const native = nativeTarget();
  if (native === undefined) throw new DebianSetError(process.arch, ["no machine type of this set"]);
  const foreign = TARGETS.filter((target) => target !== native);
  const fetchIndex = options.foreignIndex ?? fetchForeignIndex;
  const outDir = resolvePath(options.outDir);
  const [own, ...others] = await Promise.all([
    lockNative(native, outDir),
    ...foreign.map((target) => lockForeign(target, fetchIndex)),
  ]);
  const locked = [own, ...others.filter((each) => "lock" in each)];
  const first = TARGETS.flatMap((target) => locked.find((each) => each.target === target) ?? [])[0];
  const files: Record<string, string | Uint8Array> = {
    "popularity.json": json(popularityOf((first ?? own).lock, UNCOUNTED)),
    [busyboxFileName(native.system)]: own.busybox,
  };
  for (const { target, lock } of locked) files[lockFileName(target.system)] = json(lock);
  const absent: Absent[] = [];
  for (const { target, reason } of others.filter((each) => "reason" in each)) {
    // A mirror that is down for a moment must not change what the set is.
    const name = lockFileName(target.system);
    const earlier = await readFile(join(outDir, name), "utf8").catch(() => undefined);
    if (earlier !== undefined) files[name] = earlier;
    absent.push({ architecture: target.architecture, reason, isKept: earlier !== undefined });
  }
  const changed = await writeSetFolder(outDir, files);
  return { outDir, changed, locks: locked.map(({ summary }) => summary), absent };
}

// With the program for the first build, of which the folder may have an earlier one.
async function lockNative(
  target: Target,
  outDir: string,
): Promise<Locked & { readonly busybox: Uint8Array }> {
  const locked = lockOf(target, await readAptIndex(target.architecture));
  const earlier = await earlierBusybox(target, outDir);
  const { deb, program } = await bringBusybox(locked.lock.busybox, earlier);
  return { ...locked, lock: { ...locked.lock, busybox: deb }, busybox: program };
}

async function earlierBusybox({ system }: Target, outDir: string): Promise<Busybox | undefined> {
  try {
    const lock = await readFile(join(outDir, lockFileName(system)), "utf8");
    const program = await readFile(join(outDir, busyboxFileName(system)));
    return { deb: (JSON.parse(lock) as Lock).busybox, program };
  } catch {
    return undefined;
  }
}

async function lockForeign(
  target: Target,
  fetchIndex: (architecture: string) => Promise<AptIndex>,
): Promise<Locked | { readonly target: Target; readonly reason: string }> {
  try {
    return lockOf(target, await fetchIndex(target.architecture));
  } catch (error) {
    if (!isExpected(error)) throw error;
    return { target, reason: error.message };
  }
}

function lockOf(target: Target, index: AptIndex): Locked {
  const tables = tablesFor(target);
  const resolution = resolve(index, tables);
  const toolResolution = resolve(index, TOOL_TABLES);
  if (resolution.kind === "failed" || toolResolution.kind === "failed") {
    const all = [resolution, toolResolution];
    const problems = all.flatMap((each) => (each.kind === "failed" ? each.problems : []));
    throw new DebianSetError(target.architecture, [...new Set(problems)]);
  }
  const lock = makeLock(target, resolution, toolResolution.packages, tables);
  return { target, lock, summary: summarise(target, lock, resolution.packages) };
}

function tablesFor({ architecture }: Target): Tables {
  const roots = TABLES.roots.filter(([, , , , only]) => only?.includes(architecture) ?? true);
  return { ...TABLES, roots };
}

function isExpected(error: unknown): error is Error {
  return (
    error instanceof DebianSetError ||
    error instanceof AptIndexAbsent ||
    error instanceof CommandError
  );
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 1)}\n`;
}

const HELP = `Usage: node nix/debian/generate.ts --out DIR

Writes a Nix package set made of Debian's packages to DIR: for this machine from its apt index, for
other architectures from the index of the same archives, which is downloaded.
Run \`apt-get update\` first for a fresh index. Then: nix-build DIR -A htop
`;

async function main(args: readonly string[]): Promise<number> {
  let options: { out?: string; help?: boolean };
  try {
    options = parseArgs({
      args: [...args],
      options: { out: { type: "string" }, help: { type: "boolean", short: "h" } },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (options.help === true || options.out === undefined) {
    (options.help === true ? console.log : console.error)(HELP);
    return options.help === true ? 0 : 2;
  }
  try {
    console.log(summaryText(await generateDebianSet({ outDir: options.out })));
    return 0;
  } catch (error) {
    if (!isExpected(error)) throw error;
    console.error(error.message);
    return 1;
  }
}

function summaryText({ outDir, changed, locks, absent }: Summary): string {
  return [
    ...locks.flatMap(lockText),
    ...absent.map(absentText),
    `${outDir}: ${changed ? "written" : "unchanged"}`,
  ].join("\n");
}

export function absentText({ architecture, reason, isKept }: Absent): string {
  return `${isKept ? "the earlier packages" : "no packages"} for ${architecture}: ${reason}`;
}

function lockText(summary: LockSummary): readonly string[] {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1).padStart(9);
  const rows = summary.roots.map(
    (root) =>
      root.attribute.padEnd(28) +
      String(root.packages).padStart(9) +
      megabytes(root.downloadBytes) +
      megabytes(root.installedBytes),
  );
  return [
    `${summary.system.padEnd(28)} closure  .deb MB  disk MB`,
    ...rows,
    `${summary.roots.length} attributes, ${summary.packages} packages from ${summary.debs} .debs ` +
      `(${megabytes(summary.downloadBytes).trim()} MB)`,
    "",
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = await main(process.argv.slice(2));
}
