// The conformance programs of the distribution specification, built by the machine's Go, each at one
// commit, from the modules that Go downloads and checks itself. Nothing of them is kept in the tree.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { runProcess } from "../../origin/nix/spawn.ts";

const MODULE = "github.com/opencontainers/distribution-spec/conformance";
const PROGRAMS = {
  /** Of the main branch, which takes registries that nobody may push to. */
  current: "v0.0.0-20260831232431-97274622c111",
  /** Tests of Go, as up to 1.1.1: those of pulling are the same there. */
  earlier: "v0.0.0-20231101194043-f2182352d4cc",
} as const;
const BUILD_DEADLINE_MS = 5 * 60_000;
const RUN_DEADLINE_MS = 60_000;

export type ProgramName = keyof typeof PROGRAMS;

export type ConformanceProgram =
  | { readonly kind: "program"; readonly path: string }
  /** Why it cannot be had here. */
  | { readonly kind: "missing"; readonly reason: string };

/** A minute where nothing of it was compiled before; later runs find it in the state. */
export async function conformanceProgram(name: ProgramName): Promise<ConformanceProgram> {
  const version = PROGRAMS[name];
  const folder = join(statePathOf(process.env), "conformance");
  const path = join(folder, version);
  if (existsSync(path)) return { kind: "program", path };
  const isThere = (dir: string) => existsSync(join(dir, "go"));
  if (!(process.env.PATH ?? "").split(delimiter).some(isThere)) {
    return { kind: "missing", reason: "go is not installed" };
  }
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, "build-"));
  try {
    const failure = await build(name, version, scratch);
    if (failure !== undefined) return { kind: "missing", reason: failure };
    await rename(join(scratch, "program"), path);
    return { kind: "program", path };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Why Go did not make it; a module of its own, in which Go adds what the program needs. */
async function build(
  name: ProgramName,
  version: string,
  folder: string,
): Promise<string | undefined> {
  await writeFile(join(folder, "go.mod"), "module conformance-of-nixport\n\ngo 1.24\n");
  const make = name === "current" ? ["build"] : ["test", "-c"];
  for (const args of [
    ["get", ...(name === "current" ? [] : ["-t"]), `${MODULE}@${version}`],
    [...make, "-o", "program", MODULE],
  ]) {
    const made = await runProcess("go", ["-C", folder, ...args], {
      // No toolchain is downloaded for a Go that is too old.
      env: { ...definedOf(process.env), GOFLAGS: "-mod=mod -buildvcs=false", GOTOOLCHAIN: "local" },
      deadlineMs: BUILD_DEADLINE_MS,
    });
    if (made.kind === "exited" && made.code === 0) continue;
    const why = made.kind === "exited" ? (made.stderr.trim().split("\n").at(-1) ?? "") : made.kind;
    return `Go makes no conformance program of ${version}: ${why.slice(0, 200)}`;
  }
  return undefined;
}

/** What it printed: its result is in that, since it may end in a fault of its own behind it. */
export async function runConformance(
  path: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-conformance-"));
  try {
    const result = await runProcess(path, args, {
      env: {
        PATH: process.env.PATH ?? "",
        OCI_RESULTS_DIR: folder,
        OCI_REPORT_DIR: folder,
        ...env,
      },
      deadlineMs: RUN_DEADLINE_MS,
    });
    if (result.kind !== "exited") throw new Error(`the conformance program: ${result.kind}`);
    return `${result.stdout}\n${result.stderr}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
