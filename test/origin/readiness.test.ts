import { describe, expect, test } from "vitest";
import type { NoLookup } from "../../origin/images/lookups.ts";
import { askReadiness, type Readiness, type ReadinessOptions } from "../../origin/readiness.ts";
import type { PinResult } from "../../origin/sources/pins.ts";
import { pinOf, type Source } from "../../origin/sources/source.ts";
import type { Lookup } from "../../registry/image/lookup.ts";
import { readableLog } from "./fixture.ts";

const BRANCH: Source = { kind: "git", url: "https://x" };
const COMMIT: Source = { kind: "git", url: "https://x", latest: "a".repeat(40) };
const FAILED: Lookup = { kind: "evaluation-failed", message: "no" };

async function readiness(options: {
  readonly source?: Source;
  readonly pin?: PinResult;
  readonly lookup?: Lookup | NoLookup | Promise<never>;
  readonly waitMs?: number;
}): Promise<Readiness> {
  const { lookup = FAILED, source = BRANCH } = options;
  const pinned: PinResult = {
    ...{ kind: "pinned", pin: pinOf("b".repeat(40)), resolvedAtMs: 0, immutable: false },
    source: { kind: "git", url: "https://x", commit: "b".repeat(40) },
  };
  const asking: ReadinessOptions = {
    ...{ source, system: "x86_64-linux", log: readableLog().log, signal: AbortSignal.any([]) },
    env: {},
    missedNix: () => ({
      ...{ kind: "too-old", version: "2.8.0", needed: "2.18" },
      ...{ why: "no cache has it", isManaged: false },
    }),
    pins: { resolve: async () => options.pin ?? pinned },
    lookups: {
      find: async (_pinned, _system, names) => {
        const found = await lookup;
        return names.map((name) => ({ name, lookup: found, isRemembered: false }));
      },
    },
    ...(options.waitMs !== undefined && { waitMs: options.waitMs }),
  };
  return await askReadiness(asking);
}

describe("an origin", () => {
  const rows: readonly [
    words: string,
    options: Parameters<typeof readiness>[0],
    kind: Readiness["kind"],
    why?: RegExp,
  ][] = [
    ["whose set has no cacert, but loads", { lookup: { kind: "missing", near: [] } }, "ready"],
    ["whose set refuses it, but loads", { lookup: { kind: "broken" } }, "ready"],
    [
      "whose source cannot be reached",
      { pin: { kind: "unreachable", message: "no\n  route" } },
      "ready-but",
      /^the source does not answer: no route$/,
    ],
    [
      "whose revision cannot be fetched",
      { lookup: { kind: "unreachable", message: "HTTP error 500" } },
      "ready-but",
      /^the source does not answer: HTTP error 500$/,
    ],
    [
      "whose evaluation ran out of time",
      { lookup: { kind: "timed-out", afterMs: 180_000 } },
      "ready-but",
      /^the source does not answer: not within 180 s$/,
    ],
    [
      "whose source hangs",
      { lookup: new Promise<never>(() => undefined), waitMs: 10 },
      "ready-but",
      /^the source does not answer: not within 0\.01 s$/,
    ],
    [
      "whose branch is not there",
      { pin: { kind: "unknown-tag", message: "no tag x" } },
      "ready-but",
      /^latest cannot be had: no tag x$/,
    ],
    [
      "whose set needs a newer Nix",
      { lookup: { kind: "nix-too-old", version: "2.8.0", needed: "2.18" } },
      "refused",
      /^Nix 2\.8\.0 is here, the git repository \S+ needs 2\.18 or newer, and Nix \S+ was not to be had: no cache has it\. Let Nix reach /,
    ],
    [
      "whose branch does not load",
      { lookup: { kind: "set-failed", message: "syntax error", place: "default.nix:2:7" } },
      "ready-but",
      /^the package set does not load: syntax error \(default\.nix:2:7\)$/,
    ],
    [
      "whose commit does not load, and never will",
      { lookup: { kind: "set-failed", message: "broken", place: null }, source: COMMIT },
      "refused",
      /^the package set does not load: broken/,
    ],
    [
      "whose set loads, but for what every image has",
      { source: COMMIT },
      "ready-but",
      /^cacert, which every image has, fails: no$/,
    ],
  ];
  test.for(rows)("$0 is $2", { timeout: 30_000 }, async ([, options, kind, why]) => {
    const answer = await readiness(options);
    expect(answer.kind).toBe(kind);
    if (answer.kind !== "ready") expect(answer.why).toMatch(why ?? expect.unreachable());
  });
});
