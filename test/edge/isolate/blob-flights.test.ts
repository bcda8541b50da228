// The blobs on their way to an isolate: one of each, and bounded in all.

import { expect, test } from "vitest";
import { createBlobFlights } from "../../../edge/isolate/blob-flights.ts";
import { digestOfText } from "../../registry/fixture.ts";

const DIGEST = digestOfText("a");

test("is found until it ends, by the one that began it", () => {
  const flights = createBlobFlights();
  const [first, second] = [Promise.resolve(undefined), Promise.resolve(undefined)];
  expect(flights.lookup(DIGEST)).toBeUndefined();
  flights.start(DIGEST, first);
  expect(flights.lookup(DIGEST)).toBe(first);
  flights.start(DIGEST, second);
  flights.end(DIGEST, first);
  expect(flights.lookup(DIGEST)).toBe(second);
  flights.end(DIGEST, second);
  expect(flights.lookup(DIGEST)).toBeUndefined();
});

test("has room for so many bytes, until they are given back", () => {
  const flights = createBlobFlights(100);
  expect([flights.take(60), flights.take(40), flights.take(1)]).toStrictEqual([true, true, false]);
  flights.giveBack(40);
  expect([flights.take(41), flights.take(40)]).toStrictEqual([false, true]);
});
