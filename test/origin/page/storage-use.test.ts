// What is counted of the storage: behind the answers, seldom, and within bounds.

import { expect, test } from "vitest";
import { createStorageUse } from "../../../origin/page/storage-use.ts";
import type { StoredValue } from "../../../origin/storage/blob-store.ts";
import { listedKey, type StoragePrefix } from "../../../origin/storage/keys.ts";
import { readableLog } from "../fixture.ts";

/** With so many values of ten bytes in each of some collections. */
function counted(holds: Readonly<Record<string, number>>, maxValues?: number) {
  const listed: StoragePrefix[] = [];
  let read = 0;
  let nowMs = 0;
  const use = createStorageUse({
    store: {
      async *list(prefix): AsyncGenerator<StoredValue> {
        listed.push(prefix);
        for (let n = 0; n < (holds[prefix] ?? 0); n += 1) {
          read += 1;
          yield { key: listedKey(`${prefix}${n}`), sizeBytes: 10, storedAtMs: 0 };
        }
      },
    },
    ...{ now: () => nowMs, log: readableLog().log, signal: new AbortController().signal },
    ...(maxValues !== undefined && { maxValues }),
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  const of = (name: string) => use.told()?.collections.find((each) => each.name === name);
  return {
    use,
    of,
    pass,
    layersListed: () => listed.filter((each) => each === "layers/").length,
    read: () => read,
  };
}

test("it is counted once a minute, however many ask, and told as it was then", async () => {
  const { use, of, pass, layersListed } = counted({ "layers/": 3 });
  expect([use.told(), use.told()]).toStrictEqual([null, null]);
  await use.settled();
  expect(of("layers")).toStrictEqual({ name: "layers", count: 3, bytes: 30, isPartial: false });
  expect(of("records")).toMatchObject({ count: 0, bytes: 0 });
  pass(59_000);
  use.told();
  expect(layersListed()).toBe(1);
  pass(1000);
  expect(use.told()).not.toBeNull();
  await use.settled();
  expect(layersListed()).toBe(2);
});

test("of a large collection some is counted, and that is said", async () => {
  const { use, of, read } = counted({ "layers/": 1000, "records/": 5 }, 5);
  use.told();
  await use.settled();
  expect(of("layers")).toMatchObject({ count: 5, bytes: 50, isPartial: true });
  expect(of("records")).toMatchObject({ count: 5, bytes: 50, isPartial: false });
  expect(read()).toBe(11);
});
