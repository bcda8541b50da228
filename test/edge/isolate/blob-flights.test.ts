// The blobs on their way to an isolate: one of each, and bounded in all.

import { assert, expect, test } from "vitest";
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

test("has room for so many bytes, while anyone uses them", () => {
  const flights = createBlobFlights(100);
  const [first, second] = [flights.take(60, 0), flights.take(40, 0)];
  assert(first && second);
  expect(flights.take(1, 0)).toBeUndefined();
  second.users += 1;
  second.users -= 1;
  expect(flights.take(1, 0)).toBeUndefined();
  second.users -= 1;
  expect(flights.take(41, 0)).toBeUndefined();
  expect(flights.take(40, 0)).toBeDefined();
});

test("takes whoever uses room for more than ten minutes for gone", () => {
  const flights = createBlobFlights(100);
  flights.take(100, 1000);
  expect(flights.take(100, 601_000)).toBeUndefined();
  expect(flights.take(100, 601_001)).toBeDefined();
});
