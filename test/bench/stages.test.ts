import { describe, expect, test } from "vitest";
import { secondsByStage, spanOf } from "./stages.ts";

const nix = (program: string, expression?: string) => ({ msg: "ended", program, expression });

describe("what a line of the log is a stage of", () => {
  const rows = [
    [{ msg: "resolved" }, "resolve"],
    [nix("nix-instantiate", "tree.nix"), "fetch"],
    [nix("nix-instantiate", "lookup.nix"), "evaluate"],
    [nix("nix-store"), "realise"],
    [nix("nix"), null],
    [{ msg: "packed" }, "pack"],
    [{ msg: "refreshed" }, null],
  ] as const;
  test.for(rows)("%j: %s", ([line, stage]) => {
    const [span] = spanOf({ ...line, time: 5000, ms: 1500 });
    expect([span?.stage, span?.fromMs, span?.untilMs]).toStrictEqual([stage, 3500, 5000]);
  });

  test("none of one that took no time, or is another's", () => {
    expect([spanOf({ msg: "packed", time: 1 }), spanOf({ time: 2, ms: 1 })]).toStrictEqual([
      [],
      [],
    ]);
  });
});

test("what lies in a window is counted, once where several run at a time", () => {
  const spans = [
    ...spanOf({ ...nix("nix-store"), time: 1000, ms: 3000 }),
    ...spanOf({ msg: "packed", time: 3000, ms: 1000 }),
    ...spanOf({ msg: "packed", time: 3500, ms: 1000 }),
    ...spanOf({ msg: "packed", time: 2900, ms: 100 }),
    ...spanOf({ msg: "packed", time: 9000, ms: 500 }),
  ];
  const { total, realise, pack, fetch, rest } = secondsByStage(spans, 0, 5000);
  expect([total, realise, pack, fetch, rest]).toStrictEqual([5, 1, 1.5, 0, 2.5]);
});
