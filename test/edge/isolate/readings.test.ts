import { expect, test } from "vitest";
import { createReadings } from "../../../edge/isolate/readings.ts";

test("a text is read once, unless it is long or was not to be read", () => {
  const readings = createReadings<string>();
  const read: string[] = [];
  const reading = (text: string) =>
    readings.of(text, () => {
      read.push(text);
      if (text === "bad") throw new Error("unreadable");
      return text.toUpperCase();
    });
  const long = "x".repeat(1001);
  for (const text of ["a", "a", long, long]) expect(reading(text)).toBe(text.toUpperCase());
  for (const _ of [1, 2]) expect(() => reading("bad")).toThrow("unreadable");
  expect(read).toStrictEqual(["a", long, long, "bad", "bad"]);
});

test("thousands of texts do not stay", () => {
  const readings = createReadings<string>();
  const of = (text: string, value: string) => readings.of(text, () => value);
  for (let index = 0; index < 2001; index += 1) of(`text ${index}`, "first");
  expect(of("text 0", "read again")).toBe("read again");
  expect(of("text 2000", "read again")).toBe("first");
});
