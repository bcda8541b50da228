// Builds on another machine, as the host's Nix is configured: a second store on this one, mounted
// where the other machine has its own, behind a program that takes the place of ssh.

import { spawnSync } from "node:child_process";
import { chmod, mkdir, open, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { assert, describe, expect, onTestFinished, test } from "vitest";
import { lookUp } from "../../../origin/nix/look-up.ts";
import type { NixLog } from "../../../origin/nix/nix-log.ts";
import type { NixTool } from "../../../origin/nix/nix-tool.ts";
import { type RealiseOptions, realise, type WantedOutputs } from "../../../origin/nix/realise.ts";
import { skipWhere } from "../../skip-where.ts";
import type { Ending } from "../fixture.ts";
import {
  derivation,
  NO_CACHES,
  packageSet,
  SYSTEM,
  tempDir,
  testNix,
  untilEnded,
} from "./fixture.ts";

const never = AbortSignal.any([]);
const canMount = spawnSync("unshare", ["--mount", "true"]).status === 0;
const options = {
  timeout: 60_000,
  ...skipWhere(!canMount && "a mount namespace, as root"),
};

interface Builder {
  /** Nix of a machine that builds nothing itself. */
  readonly nix: NixTool;
  readonly store: string;
}

async function startBuilder(onEnd: Ending): Promise<Builder> {
  const dir = await tempDir(onEnd);
  await mkdir(join(dir, "nix"));
  await mkdir(join(dir, "bin"));
  const ssh = join(dir, "bin/ssh");
  await writeFile(
    ssh,
    // As ssh: no connection of others to use, the local command of one that is made, and the words
    // that the other machine's shell gets: all behind `--`, for Nix 2.8 the last.
    `#!/bin/sh
[ "$1" != -O ] || exit 255
for option; do
  case $option in -oLocalCommand=*) eval "\${option#*=}" ;; esac
done
while [ $# -gt 1 ] && [ "$1" != -- ]; do shift; done
[ "$1" != -- ] || shift
export NIX_CONFIG="sandbox = false
substituters =
build-users-group ="
exec unshare --mount sh -c 'mount --bind ${dir}/nix /nix && eval "exec $1"' sh "$*"
`,
  );
  await chmod(ssh, 0o755);
  const nix = await testNix({
    env: {
      PATH: `${join(dir, "bin")}:${process.env.PATH}`,
      NIX_CONFIG: `sandbox = false\nsubstituters =\nmax-jobs = 0\nbuilders = ssh://builder ${SYSTEM} - 2`,
    },
  });
  return { nix, store: join(dir, "nix/store") };
}

async function prepare(
  onEnd: Ending,
  nix: NixTool,
  script: string,
): Promise<{ readonly wanted: readonly WantedOutputs[]; readonly limits: RealiseOptions }> {
  const dir = await tempDir(onEnd);
  const source = await packageSet(
    onEnd,
    nix,
    `rec {
      dependency = ${derivation("dependency-1", "echo it > $out", `salt = "${dir}";`)};
      package = ${derivation("package-1", script, "inherit dependency;")};
    }`,
  );
  const [answer] = await lookUp(nix, source, SYSTEM, ["package"], never);
  assert(answer?.lookup.kind === "found");
  const limits = { rootsDir: join(dir, "roots"), builderTimeoutSeconds: 50, deadlineMs: 60_000 };
  return { wanted: [answer.lookup], limits: { ...limits, policy: NO_CACHES, signal: never } };
}

describe("a machine whose Nix builds elsewhere", options, () => {
  test("realises what the other machine has built", async () => {
    const { nix, store } = await startBuilder(onTestFinished);
    const { wanted, limits } = await prepare(
      onTestFinished,
      nix,
      "echo with $(cat $dependency) > $out",
    );
    const logs: NixLog[] = [];
    const onLog = (log: NixLog) => logs.push(log);
    const result = await realise(nix, wanted, { ...limits, onLog });
    expect(result.kind, JSON.stringify(result)).toBe("realised");
    const path = wanted[0]?.outputs[0]?.path ?? "";
    expect(await readFile(path, "utf8")).toBe("with it\n");
    expect(await readdir(store)).toContain(basename(path));
    expect(logs[0]?.progress().builds).toStrictEqual({ done: 2, expected: 2, running: [] });
    if (result.kind === "realised") await result.release();
  });

  test("tells why the other machine could not build", async () => {
    const { nix } = await startBuilder(onTestFinished);
    const { wanted, limits } = await prepare(onTestFinished, nix, "echo went wrong; exit 5");
    const result = await realise(nix, wanted, limits);
    assert(result.kind === "build-failed");
    const [failure] = result.failures;
    assert(failure?.kind === "builder-failed", JSON.stringify(failure));
    expect(failure.log, JSON.stringify(failure)).toContain("went wrong");
    await result.release();
  });

  test("ends the builder on the other machine when nobody wants it any more", async () => {
    const { nix } = await startBuilder(onTestFinished);
    const gate = join(await tempDir(onTestFinished), "pid");
    spawnSync("mkfifo", ["-m", "666", gate]);
    spawnSync("chmod", ["755", join(gate, "..")]);
    const { wanted, limits } = await prepare(
      onTestFinished,
      nix,
      `echo $$ > ${gate}; exec sleep 1000`,
    );
    const abort = new AbortController();
    const realising = realise(nix, wanted, { ...limits, signal: abort.signal });
    // Opened for writing too, which ends the reading: no builder that never starts is waited for.
    void realising.finally(async () => (await open(gate, "r+")).close());
    const builder = Number(await readFile(gate, "utf8"));
    expect(builder, "the builder has started").toBeGreaterThan(0);
    abort.abort();
    expect(await realising).toStrictEqual({ kind: "cancelled" });
    await untilEnded(builder);
  });
});
