// What a command looks at that works on an origin's storage beside it: the machine and the configuration as
// the origin has them.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../configuration/config.ts";
import { openSubject, type Subject } from "../doctor/subject.ts";
import { debianSetNixConfig, nixpkgsAnswers } from "./host.ts";
import { existingEnvironment, statePathOf } from "./local-environment.ts";
import { fail, wrongConfiguration } from "./process.ts";
import type { CommandContext } from "./subcommand.ts";

/** What an origin on this machine would be started with; nothing is installed or made for it. */
export async function withSubject<Result>(
  { env, signal }: CommandContext,
  command: string,
  use: (subject: Subject) => Promise<Result>,
): Promise<Result> {
  const scratchPath = await mkdtemp(join(tmpdir(), `nixport-${command}-`));
  try {
    const subject = openSubject({
      env: await existingEnvironment(env, scratchPath),
      statePath: statePathOf(env),
      isEdgeAssumed: !env.NIXPORT_EDGE_URL?.trim(),
      ...{ nixpkgsAnswers, debianSetNixConfig, signal },
    });
    return await use(subject);
  } finally {
    await rm(scratchPath, { recursive: true, force: true });
  }
}

/** Of an origin that has stored something: a misspelt place would be made, or found to be in order. */
export function storedConfig({ config, problems }: Subject): Config {
  if (config === null) fail(wrongConfiguration(problems));
  const { storagePath, bucket } = config;
  if (bucket === null && !existsSync(storagePath)) fail(`nothing is stored at ${storagePath}`);
  return config;
}
