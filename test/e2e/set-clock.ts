// A wall clock that a test sets for processes, as an operator or a broken server of time does. The clocks by which
// durations are measured stay as they are.

import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { endianness, tmpdir } from "node:os";
import { join } from "node:path";
import type { Ending } from "../origin/fixture.ts";
import { missingClient, runClient } from "./clients.ts";

const SOURCE = join(import.meta.dirname, "set-clock.c");

/** Why there can be none here, for tests that skip themselves; false where there can. */
export function missingClock(): string | false {
  return missingClient("gcc", "setpriv");
}

export interface SetClock {
  readonly launcher: readonly string[];
  /** The edge's runtime gets nothing of the environment that its command has. */
  readonly env: Readonly<Record<string, string>>;
  /** How far it is off from now on. */
  set(hours: number): Promise<void>;
}

export async function openClock(onEnd: Ending): Promise<SetClock> {
  const folder = await mkdtemp(join(tmpdir(), "nixport-clock-"));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const [library, file, runtime] = ["clock.so", "offset", "workerd"].map((each) =>
    join(folder, each),
  ) as [string, string, string];
  const { code, stderr } = runClient("gcc", ["-O2", "-shared", "-fPIC", "-o", library, SOURCE]);
  if (code !== 0) throw new Error(stderr);
  await writeFile(file, secondsOf(0));
  const launcher = ["env", `LD_PRELOAD=${library}`, `SET_CLOCK=${file}`];
  const program = createRequire(import.meta.url)("workerd").default;
  const words = [...launcher, "setpriv", "--pdeathsig", "KILL", "--", program];
  await writeFile(runtime, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`, { mode: 0o755 });
  return {
    ...{ launcher, env: { MINIFLARE_WORKERD_PATH: runtime } },
    async set(hours) {
      // Into the file that they have mapped.
      await using handle = await open(file, "r+");
      await handle.write(secondsOf(3600 * hours), 0, 8, 0);
    },
  };
}

/** A `long`, as the machine has it. */
function secondsOf(seconds: number): Buffer {
  const bytes = Buffer.alloc(8);
  if (endianness() === "LE") bytes.writeBigInt64LE(BigInt(seconds));
  else bytes.writeBigInt64BE(BigInt(seconds));
  return bytes;
}
