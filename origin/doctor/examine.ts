// Looks at everything side by side, each for a bounded time. What one check throws, or does not
// answer, is its own line and nobody else's.

import { setTimeout } from "node:timers/promises";
import { type Check, type Finding, failed, type Seen } from "./finding.ts";

const CHECK_DEADLINE_MS = 15_000;

/** In the order of the checks. `onFound` is told of each as soon as it is there. */
export async function examine(
  checks: readonly Check[],
  signal: AbortSignal,
  onFound: (finding: Finding) => void = () => {},
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    checks.map(async (check) => {
      const seen = await lookWithin(check, signal);
      const findings = seen.map(
        (each): Finding => ({
          ...{ group: check.group, check: check.check, ...each },
          // Nix and git name the URLs that they could not reach as they were given them.
          saw: each.saw.replace(/:\/\/[^\s/'"]*@/g, "://"),
        }),
      );
      findings.forEach(onFound);
      return findings;
    }),
  );
  return found.flat();
}

async function lookWithin(check: Check, stop: AbortSignal): Promise<readonly Seen[]> {
  const deadlineMs = check.deadlineMs ?? CHECK_DEADLINE_MS;
  const over = new AbortController();
  const signal = AbortSignal.any([stop, over.signal]);
  try {
    const seen = await Promise.race([check.look(signal), late(deadlineMs, signal)]);
    return Array.isArray(seen) ? seen : [seen as Seen];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [failed(why, "look at the message; if it is none of this machine's, report it")];
  } finally {
    // Whatever it has started ends, and the timer.
    over.abort();
  }
}

/** At once where it was given up. */
async function late(deadlineMs: number, signal: AbortSignal): Promise<Seen> {
  await setTimeout(deadlineMs, undefined, { signal }).catch(() => undefined);
  return failed(
    `no answer within ${deadlineMs / 1000} s`,
    "see what keeps it: a disk, a server or a process that hangs",
  );
}
