// Logs each process of Nix: what it is for, and how long it took. Where the time of a pull or of a
// refresh went is the sum of these lines, and of those of packed layers.

import { basename } from "node:path";
import type { Log } from "../log/log.ts";
import type { NixToolOptions } from "./nix-tool.ts";

export type OnSpawn = NonNullable<NixToolOptions["onSpawn"]>;

/** The rest are names and sources, which say much and may be long. */
const MAX_ARGUMENTS = 4;

export function logRuns(log: Pick<Log, "info">, now: () => number): OnSpawn {
  return (program, args, ended) => {
    const startedMs = now();
    const expression = args.find((each) => each.endsWith(".nix"));
    const facts = {
      ...{ program, args: args.slice(0, MAX_ARGUMENTS) },
      ...(expression !== undefined && { expression: basename(expression) }),
    };
    log.info(facts, "started");
    ended.then(
      ({ kind }) => log.info({ ...facts, kind, ms: now() - startedMs }, "ended"),
      // Whoever started it is told.
      () => undefined,
    );
  };
}
