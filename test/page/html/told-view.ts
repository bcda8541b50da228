// What an origin may tell its operators, for tests of who reads it.

import type { OperatorView } from "../../../registry/http/operator-view.ts";
import { tagOf } from "../../registry/fixture.ts";

const AT_MS = Date.UTC(2026, 10, 28, 10, 5);

/** With one of everything, each text of which is the next of `say`. */
export function viewOf(say: () => string): OperatorView {
  const build = { image: say(), tag: tagOf("latest"), endedAtMs: AT_MS, ms: 12_345 };
  return {
    atMs: AT_MS,
    process: {
      ...{ startedAtMs: AT_MS, node: say(), nix: say() },
      ...{ residentBytes: 1e8, availableBytes: 2e9, machineBytes: 8e9 },
    },
    builds: [{ ...build, newBytes: 4_200_000 }],
    failures: [{ ...build, image: say(), message: say() }],
    underWay: [{ image: say(), beganAtMs: AT_MS, stage: say() }],
    queues: [{ name: say(), running: 1, atOnce: 4, waiting: 7, mayWait: 100 }],
    outbox: { waiting: 3, failing: 1, oldestResolvedAtMs: AT_MS },
    indexes: [
      {
        ...{ pin: say(), system: say(), tags: [say()], sinceMs: AT_MS, state: say() },
        ...{ names: 100, ofNames: 20_000, reason: say() },
      },
    ],
    trackedTags: [say()],
    packings: [{ form: say(), packing: say() }],
    storage: {
      countedAtMs: AT_MS,
      collections: [
        { name: say(), count: 1234, bytes: 5e9, isPartial: true },
        { name: say(), count: 1, bytes: 10, isPartial: false },
      ],
    },
    nixStore: { path: say(), freeBytes: 3e9, bytes: 9e9 },
  };
}

export function numbered(): () => string {
  let last = 0;
  return () => `said-${++last}.`;
}
