// Programs that no package of Debian's brings, built by the machine's Go, each at one version, from the
// modules that Go downloads and checks itself. Nothing of them is kept in the tree.

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { statePathOf } from "../../origin/command/local-environment.ts";
import { runProcess } from "../../origin/nix/spawn.ts";

const CONFORMANCE = "github.com/opencontainers/distribution-spec/conformance";

interface Source {
  /** The package, which lies in a module of the same name or of a folder above. */
  readonly from: string;
  readonly version: string;
  /** It consists of Go's tests. */
  readonly isTest?: boolean;
  /** A program of the tests' own, in a file beside, which is made of it. */
  readonly main?: string;
}

const PROGRAMS = {
  /** Of the main branch, which takes registries that nobody may push to. */
  conformance: { from: CONFORMANCE, version: "v0.0.0-20260831232431-97274622c111" },
  /** As up to 1.1.1: the tests of pulling are the same there. */
  "earlier-conformance": {
    ...{ from: CONFORMANCE, version: "v0.0.0-20231101194043-f2182352d4cc", isTest: true },
  },
  "containerd-resolver": {
    ...{ from: "github.com/containerd/containerd/v2", version: "v2.3.7" },
    main: "containerd-resolver.go",
  },
  crane: { from: "github.com/google/go-containerregistry/cmd/crane", version: "v0.22.1" },
  /** An emulator of Google Cloud Storage. */
  "fake-gcs-server": { from: "github.com/fsouza/fake-gcs-server", version: "v1.56.1" },
  oras: { from: "oras.land/oras/cmd/oras", version: "v1.3.6" },
  regctl: { from: "github.com/regclient/regclient/cmd/regctl", version: "v0.11.7" },
} as const satisfies Readonly<Record<string, Source>>;
const BUILD_DEADLINE_MS = 5 * 60_000;

export type GoProgram =
  | { readonly kind: "program"; readonly path: string }
  /** Why it cannot be had here. */
  | { readonly kind: "missing"; readonly reason: string };

/** Up to a minute where nothing of it was compiled before; later runs find it in the state. */
export async function goProgram(name: keyof typeof PROGRAMS): Promise<GoProgram> {
  const source: Source = PROGRAMS[name];
  const folder = join(statePathOf(process.env), "go-programs");
  const path = join(folder, `${name}-${source.version}`);
  if (existsSync(path)) return { kind: "program", path };
  const isThere = (dir: string) => existsSync(join(dir, "go"));
  if (!(process.env.PATH ?? "").split(delimiter).some(isThere)) {
    return { kind: "missing", reason: "go is not installed" };
  }
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, "build-"));
  try {
    const failure = await build(source, scratch);
    if (failure !== undefined) return { kind: "missing", reason: `no ${name}: ${failure}` };
    await rename(join(scratch, "program"), path);
    return { kind: "program", path };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Why Go did not make it; a module of its own, in which Go adds what the program needs. */
async function build(
  { from, version, isTest, main }: Source,
  folder: string,
): Promise<string | undefined> {
  if (main !== undefined) await copyFile(new URL(main, import.meta.url), join(folder, "main.go"));
  await writeFile(join(folder, "go.mod"), "module programs-of-tests\n\ngo 1.24\n");
  for (const args of [
    ["get", ...(isTest ? ["-t"] : []), `${from}@${version}`],
    [...(isTest ? ["test", "-c"] : ["build"]), "-o", "program", main === undefined ? from : "."],
  ]) {
    const made = await runProcess("go", ["-C", folder, ...args], {
      // No toolchain is downloaded for a Go that is too old.
      env: { ...definedOf(process.env), GOFLAGS: "-mod=mod -buildvcs=false", GOTOOLCHAIN: "local" },
      deadlineMs: BUILD_DEADLINE_MS,
    });
    if (made.kind === "exited" && made.code === 0) continue;
    const why = made.kind === "exited" ? (made.stderr.trim().split("\n").at(-1) ?? "") : made.kind;
    return why.slice(0, 200);
  }
  return undefined;
}

function definedOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
