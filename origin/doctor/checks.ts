// Everything that the doctor looks at, in the order in which it is told.

import { cacheChecks } from "./caches.ts";
import { edgeChecks } from "./edge.ts";
import { type Check, failed, ok } from "./finding.ts";
import { limitChecks } from "./limits.ts";
import { nixChecks } from "./nix.ts";
import { sourceChecks } from "./source.ts";
import { storageChecks } from "./storage.ts";
import type { Subject } from "./subject.ts";

export function allChecks(subject: Subject): readonly Check[] {
  return [
    configurationCheck(subject),
    ...nixChecks(subject),
    ...sourceChecks(subject),
    ...cacheChecks(subject),
    ...storageChecks(subject),
    ...edgeChecks(subject),
    ...limitChecks(subject),
  ];
}

function configurationCheck({ problems }: Subject): Check {
  return {
    ...{ group: "configuration", check: "environment", isCheap: true },
    look: async () =>
      problems.length === 0
        ? ok("nothing is wrong with it")
        : problems.map((problem) =>
            failed(problem, "set it right; docs/configuration.md has a table of all"),
          ),
  };
}
