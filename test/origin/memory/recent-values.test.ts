import { describe, expect, test } from "vitest";
import { recentValues } from "../../../origin/memory/recent-values.ts";

describe("recentValues", () => {
  test("gives back what was stored, and the newest value of a key", () => {
    const values = recentValues<number>(2);
    expect(values.lookup("a")).toBeUndefined();
    values.store("a", 1);
    values.store("a", 2);
    expect(values.lookup("a")).toBe(2);
  });

  test("lets go of the value that was used longest ago", () => {
    const values = recentValues<number>(2);
    values.store("a", 1);
    values.store("b", 2);
    values.lookup("a");
    values.store("c", 3);
    expect(["a", "b", "c"].map(values.lookup)).toStrictEqual([1, undefined, 3]);
  });

  test("keeps both when one of them is stored again", () => {
    const values = recentValues<number>(2);
    values.store("a", 1);
    values.store("b", 2);
    values.store("a", 3);
    values.store("b", 4);
    expect(["a", "b"].map(values.lookup)).toStrictEqual([3, 4]);
  });
});
