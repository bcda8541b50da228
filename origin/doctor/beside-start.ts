// What a start says of a machine on which something is wrong: the checks that ask nobody but this
// machine run beside it, and what they have found by the time it is ready is told. Nothing waits.

import { allChecks } from "./checks.ts";
import { examine } from "./examine.ts";
import { formatFailed } from "./page.ts";
import { openSubject } from "./subject.ts";

export interface ExaminedStart {
  /** A line for each thing that was found wrong so far. What is still being looked at is given up. */
  end(): readonly string[];
}

/** `env` is that of the prepared machine, in which a source is named. */
export function examineBesideStart(
  env: Readonly<Record<string, string>>,
  statePath: string,
): ExaminedStart {
  const stop = new AbortController();
  const { signal } = stop;
  const subject = openSubject({
    ...{ env, statePath, signal, isEdgeAssumed: true, debianSetNixConfig: () => "" },
    nixpkgsAnswers: async () => false,
  });
  const lines: string[] = [];
  // What is wrong with the configuration keeps a start from being one, and is said by it.
  const checks = allChecks(subject).filter(
    ({ isCheap, group }) => isCheap && group !== "configuration",
  );
  void examine(checks, signal, (finding) => {
    if (finding.state === "failed" && !signal.aborted) lines.push(formatFailed(finding));
  });
  return {
    end() {
      stop.abort(new Error("the start is over"));
      return lines;
    },
  };
}
