import { describe, expect, test } from "vitest";
import { createFaults, type Fault, parseFault } from "./faults.ts";

describe("faults", () => {
  test("go wrong as often as they were told to, the one set last first", () => {
    const faults = createFaults();
    faults.set(/nar/, { kind: "hang" });
    faults.set(/narinfo/, { kind: "status", status: 500 }, 2);
    const kinds = ["/a.narinfo", "/a.narinfo", "/a.narinfo", "/nix-cache-info"].map(
      (path) => faults.take(path)?.kind,
    );
    expect(kinds).toStrictEqual(["status", "status", "hang", undefined]);
    faults.clear();
    expect(faults.take("/a.narinfo")).toBeUndefined();
  });

  const written: readonly [text: string, fault: Fault | undefined][] = [
    ["status 500", { kind: "status", status: 500 }],
    ["slow 2000", { kind: "slow", bytesPerSecond: 2000 }],
    ["cut 0", { kind: "cut", afterBytes: 0 }],
    ["  bad-signature ", { kind: "bad-signature" }],
    ["status", undefined],
    ["slow 0", undefined],
    ["cut -1", undefined],
    ["hang 3", undefined],
    ["nothing", undefined],
  ];
  for (const [text, fault] of written) {
    test(`read ${JSON.stringify(text)}${fault === undefined ? " as none" : ""}`, () => {
      expect(parseFault(text)).toStrictEqual(fault);
    });
  }
});
