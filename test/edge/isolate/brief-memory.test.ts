import { describe, expect, test } from "vitest";
import { createBriefMemory } from "../../../edge/isolate/brief-memory.ts";

const LIFE = { fromMs: 0, untilMs: 100 };

describe("a brief memory", () => {
  test("gives a value until its moment, and not at it", () => {
    const memory = createBriefMemory<string>(10);
    memory.store("a", "A", { sizeBytes: 1, ...LIFE });
    expect(memory.lookup("a", 99)).toBe("A");
    expect(memory.lookup("a", 100)).toBeUndefined();
    // Also by a clock that is set back: it has gone.
    expect(memory.lookup("a", 99)).toBeUndefined();
  });

  test("gives nothing by a clock that was set back behind its beginning", () => {
    const memory = createBriefMemory<string>(10);
    memory.store("a", "A", { sizeBytes: 1, fromMs: 50, untilMs: 100 });
    expect(memory.lookup("a", 49)).toBeUndefined();
  });

  test("forgets the oldest beyond its size, and what is larger than all of it", () => {
    const memory = createBriefMemory<string>(10);
    for (const key of ["a", "b", "c"]) memory.store(key, key, { sizeBytes: 4, ...LIFE });
    expect(["a", "b", "c"].map((key) => memory.lookup(key, 0))).toStrictEqual([
      undefined,
      "b",
      "c",
    ]);
    memory.store("b", "larger", { sizeBytes: 11, ...LIFE });
    expect(["b", "c"].map((key) => memory.lookup(key, 0))).toStrictEqual([undefined, "c"]);
  });

  test("counts what is stored again once, and nothing of what is forgotten", () => {
    const memory = createBriefMemory<string>(10);
    for (const key of ["a", "a", "a", "gone"]) memory.store(key, key, { sizeBytes: 5, ...LIFE });
    memory.forget("gone");
    memory.store("b", "b", { sizeBytes: 5, ...LIFE });
    expect(["a", "b"].map((key) => memory.lookup(key, 0))).toStrictEqual(["a", "b"]);
  });
});
