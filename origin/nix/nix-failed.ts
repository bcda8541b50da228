// A question that Nix answers on any host that is well: where it did not, nothing is wrong with what was
// asked about.

import type { SpawnResult } from "./spawn.ts";

export class NixFailed extends Error {}

export function notStarted(
  program: string,
  { error }: Extract<SpawnResult, { kind: "not-started" }>,
): NixFailed {
  return new NixFailed(`${program} could not be started`, { cause: error });
}
