// Small package sets, written into a temporary directory and built by the machine's own Nix.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { BuildPolicy } from "../../../origin/nix/build-policy.ts";
import { findNix, type NixTool, type NixToolOptions } from "../../../origin/nix/nix-tool.ts";
import type { PinnedSource } from "../../../origin/nix/pinned-source.ts";
import type { EvaluatingNix } from "../../../origin/nix/run-evaluation.ts";
import type { Ending } from "../fixture.ts";
import { isRunning } from "../images/gated-set.ts";
import { SHELL_BUILDER } from "./sandbox-shell.ts";

export const SYSTEM = process.arch === "arm64" ? "aarch64-linux" : "x86_64-linux";
export const OTHER_SYSTEM = process.arch === "arm64" ? "x86_64-linux" : "aarch64-linux";

// Nothing a test builds is in a cache, and asking for it would only cost time.
export const TEST_NIX_CONFIG = "sandbox = false\nsubstituters =\nmax-jobs = 2\n";

/** As an operator has it who sets nothing, where Nix has no caches. */
export const NO_CACHES: BuildPolicy = { build: "missing", maxSourceBuilds: null, caches: [] };

export async function tempDir(onEnd: Ending): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "nixport-test-"));
  onEnd(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

export async function testNix(options: Partial<NixToolOptions> = {}): Promise<NixTool> {
  const nix = await findNix({
    ...options,
    env: { ...process.env, NIX_CONFIG: TEST_NIX_CONFIG, ...options.env },
  });
  if (nix === undefined) throw new Error("these tests need Nix");
  return nix;
}

/** For what must do without Nix. */
export const NO_NIX: EvaluatingNix = {
  expressions: "/nowhere",
  evaluationMemoryBytes: 0,
  run: (program) => Promise.reject(new Error(`${program} was started`)),
};

/** A derivation in Nix's language; `script` is run by /bin/sh and `salt` makes it build anew. */
export function derivation(name: string, script: string, extra = ""): string {
  return `(derivation { name = "${name}"; system = "${SYSTEM}"; builder = ${SHELL_BUILDER};
    PATH = "/bin:/usr/bin"; args = [ "-c" ''${script}'' ]; ${extra} })`;
}

/** Pins a directory as it is now. */
export async function pinPath(nix: NixTool, path: string): Promise<PinnedSource> {
  const features = ["--extra-experimental-features", "nix-command"];
  const hashed = await nix.run("nix", ["hash", "path", ...features, path], { deadlineMs: 60_000 });
  if (hashed.kind !== "exited" || hashed.code !== 0) throw new Error(JSON.stringify(hashed));
  return { kind: "path", path, narHash: hashed.stdout.trim() };
}

/** A pinned source whose default.nix is `expression`, with other files beside it. */
export async function packageSet(
  onEnd: Ending,
  nix: NixTool,
  expression: string,
  files: Readonly<Record<string, string>> = {},
): Promise<PinnedSource> {
  const dir = await tempDir(onEnd);
  for (const [name, text] of Object.entries({ "default.nix": expression, ...files })) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
  return await pinPath(nix, dir);
}

/** What nix/lookup.nix itself says, before any TypeScript reads it. */
export async function evaluateLookup(
  nix: NixTool,
  source: PinnedSource,
  names: readonly string[],
  system = SYSTEM,
): Promise<{
  readonly lookups: readonly Record<string, unknown>[];
  readonly members: readonly {
    readonly within: readonly string[];
    readonly names: readonly string[];
  }[];
}> {
  const result = await nix.run(
    "nix-instantiate",
    [
      ...["--eval", "--strict", "--json", "--read-write-mode", `${nix.expressions}/lookup.nix`],
      ...["--argstr", "source", JSON.stringify(source), "--argstr", "system", system],
      ...["--argstr", "names", JSON.stringify(names)],
    ],
    { deadlineMs: 60_000 },
  );
  if (result.kind !== "exited" || result.code !== 0) throw new Error(JSON.stringify(result));
  return JSON.parse(result.stdout);
}

/** What a process has started, and what that has, as the kernel says it now. */
export async function descendantsOf(pid: number): Promise<readonly number[]> {
  const lists = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = lists.split(" ").flatMap((child) => (child === "" ? [] : Number(child)));
  return [...children, ...(await Promise.all(children.map(descendantsOf))).flat()];
}

/** Returns when the process has ended; one that runs on fails the test by its time limit. */
export async function untilEnded(pid: number): Promise<void> {
  while (await isRunning(pid)) await setImmediate();
}
