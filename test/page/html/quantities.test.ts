import { expect, test } from "vitest";
import { countText, plural, sizeText } from "../../../page/html/quantities.ts";

test("sizes have three digits at most, in decimal units", () => {
  const sizes: readonly [bytes: number, text: string][] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [9994, "9.99 kB"],
    [9996, "10.0 kB"],
    [83_249_000, "83.2 MB"],
    [999_600, "1.00 MB"],
    [123_456_789, "123 MB"],
    [4.2e15, "4200 TB"],
  ];
  for (const [bytes, text] of sizes) expect(sizeText(bytes)).toBe(text);
});

test("counts have their thousands apart", () => {
  expect([countText(999), countText(1000), countText(1_234_567)]).toStrictEqual([
    "999",
    "1 000",
    "1 234 567",
  ]);
  expect([plural(1, "layer"), plural(2, "layer")]).toStrictEqual(["1 layer", "2 layers"]);
});
