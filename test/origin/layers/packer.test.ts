import { createHash } from "node:crypto";
import { truncateSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, assert, describe, expect, test } from "vitest";
import type { PackedLayer } from "../../../origin/layers/layer.ts";
import { createPacker, type Packer, type PackerOptions } from "../../../origin/layers/packer.ts";
import { UnpackableError } from "../../../origin/layers/tar.ts";
import { FORMS } from "../../../registry/image/record.ts";
import {
  type StorePath,
  storePathBase,
  storePathName,
} from "../../../registry/naming/store-path.ts";
import { plant, storePath, temporaryDirectory } from "./fixture.ts";

const store = temporaryDirectory();
const scratch = temporaryDirectory();
const paths = Array.from({ length: 12 }, (_, at) =>
  plant(store, storePath(`p${at}`), { holds: { f: Buffer.alloc(at * 200_000, `${at} text `) } }),
);
/** Takes long enough to pack that it is never done before the main thread has its turn. */
const huge = plant(store, storePath("huge"), "");
truncateSync(`${store}/${storePathBase(huge)}`, 8e9);

function open(options: Partial<PackerOptions> = {}): Packer {
  const packer = createPacker({ storeDirectory: store, ...options });
  afterAll(() => packer.close());
  return packer;
}

function request(
  storePaths: readonly StorePath[],
  more: { signal?: AbortSignal; sizeBytes?: number; group?: string } = {},
) {
  const name = storePaths.map(storePathName).join("-").slice(0, 100);
  return {
    segments: storePaths.map((storePath) => ({ storePath })),
    form: "zstd",
    destination: `${scratch}/${name}`,
    sizeBytes: 1,
    group: "g",
    ...more,
  } as const;
}

/** A thread that answers with the name of what it was to pack, or ends on request. */
const echo = join(import.meta.dirname, "echo-worker.ts");
const crashingHelper = join(import.meta.dirname, "crashing-helper.ts");

describe("pack", () => {
  test("gives the same layers with one thread, with two, rehearsed, and again", async () => {
    const one = open({ workers: 1 });
    const two = open({ workers: 2 });
    const results: (readonly PackedLayer[])[] = [];
    const contents: Buffer[][] = [];
    const rehearsed = open({ workers: 2 });
    await rehearsed.start();
    for (const packer of [one, two, rehearsed, one, two]) {
      const requests = paths.map((path, at) => request([path, ...paths.slice(0, at % 3)]));
      results.push(await Promise.all(requests.map((each) => packer.pack(each))));
      contents.push(await Promise.all(requests.map(({ destination }) => readFile(destination))));
    }
    for (const result of results) expect(result).toStrictEqual(results[0]);
    for (const content of contents) expect(content).toStrictEqual(contents[0]);
  });

  test("takes the biggest of a group first, and groups in turn", async () => {
    const packer = open({ workers: 1, program: echo });
    const order: string[] = [];
    const ask = async (name: string, group: string, sizeBytes: number) => {
      await packer.pack(request([storePath(name)], { group, sizeBytes }));
      order.push(name);
    };
    await Promise.all([
      ask("first", "other", 1),
      ask("a1", "a", 1),
      ask("a3", "a", 3),
      ask("a2", "a", 2),
      ask("a2-later", "a", 2),
      ask("b5", "b", 5),
      ask("b9", "b", 9),
    ]);
    expect(order).toStrictEqual(["first", "a3", "b9", "a2", "b5", "a2-later", "a1"]);
  });

  test("rejects with the path of what cannot be in a layer, and goes on", async () => {
    const packer = open({ workers: 1 });
    const whiteout = plant(store, storePath("whiteout"), { holds: { ".wh.x": "" } });
    await expect(packer.pack(request([whiteout]))).rejects.toSatisfy(
      (error) =>
        error instanceof UnpackableError &&
        error.message.endsWith("-whiteout/.wh.x has a name that layers reserve for deleting files"),
    );
    await expect(packer.pack(request([storePath("missing")]))).rejects.toMatchObject({
      code: "ENOENT",
    });
    expect((await packer.pack(request(paths.slice(0, 1)))).sizeBytes).toBeGreaterThan(0);
  });

  test("rejects the task of a thread that ends, and replaces the thread", async () => {
    const packer = open({ workers: 1, program: echo });
    const exit = packer.pack(request([storePath("exit")]));
    const waiting = packer.pack(request([storePath("waiting")]));
    await expect(exit).rejects.toThrow(/the packing thread ended with code 3/);
    expect((await waiting).sizeBytes).toBe(7);
    await expect(packer.pack(request([storePath("throw")]))).rejects.toSatisfy(
      (error) => error instanceof Error && /thrown/.test(String(error.cause)),
    );
    expect((await packer.pack(request([storePath("after")]))).sizeBytes).toBe(5);
  });
});

describe("a large layer", () => {
  const big = plant(store, storePath("big"), {
    holds: Object.fromEntries(
      Array.from({ length: 24 }, (_, at) => [
        `f${at}`,
        Buffer.alloc(700_000, `${at * 7919} text `),
      ]),
    ),
  });
  const large = { sizeBytes: 1e9 };

  for (const form of FORMS) {
    test(`has the same ${form} bytes whatever the number of threads`, async () => {
      const results: unknown[] = [];
      for (const workers of [1, 2, 3]) {
        const packer = open({ workers });
        for (let round = 0; round < 2; round += 1) {
          const task = { ...request([big, ...paths.slice(-1)], large), form };
          const packed = await packer.pack(task);
          const bytes = await readFile(task.destination);
          const digest = createHash("sha256").update(bytes).digest("hex");
          expect(packed.digest).toBe(`sha256:${digest}`);
          results.push(packed);
        }
        await packer.close();
      }
      for (const result of results) expect(result).toStrictEqual(results[0]);
    });

    test(`has the same ${form} bytes when those who help crash`, async () => {
      const expected = await open({ workers: 1 }).pack({ ...request([big]), form });
      const packer = open({ workers: 3, program: crashingHelper });
      for (let round = 0; round < 3; round += 1) {
        expect(await packer.pack({ ...request([big], large), form })).toStrictEqual(expected);
      }
    });
  }

  test("gives the threads that help back to layers that wait", async () => {
    const packer = open({ workers: 3 });
    const controller = new AbortController();
    const running = packer.pack(request([huge], { sizeBytes: 8e9, signal: controller.signal }));
    for (let round = 0; round < 3; round += 1) {
      const waiting = paths.slice(0, 4).map((path) => packer.pack(request([path])));
      expect(await Promise.all(waiting)).toHaveLength(4);
    }
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow(/enough/);
    expect((await packer.pack(request(paths.slice(0, 1)))).sizeBytes).toBeGreaterThan(0);
  });

  test("is given up by all threads at close", async () => {
    const packer = open({ workers: 3 });
    const running = packer.pack(request([huge], { sizeBytes: 8e9 }));
    const settled = Promise.allSettled([running]);
    await packer.pack(request(paths.slice(0, 1)));
    await packer.close();
    const [result] = await settled;
    expect(String(result?.status === "rejected" && result.reason)).toMatch(/the packer was closed/);
  });
});

describe("an aborted request", () => {
  test("is not begun when it was aborted before", async () => {
    const reason = new Error("gone");
    const packer = open({ workers: 1 });
    const signal = AbortSignal.abort(reason);
    await expect(packer.pack(request([huge], { signal }))).rejects.toThrow(reason);
  });

  test("stops while running, and leaves the thread to the next", async () => {
    const packer = open({ workers: 1 });
    const controller = new AbortController();
    const reason = new Error("nobody waits");
    const running = packer.pack(request([huge], { signal: controller.signal }));
    const next = packer.pack(request(paths.slice(0, 1)));
    controller.abort(reason);
    await expect(running).rejects.toThrow(reason);
    expect((await next).sizeBytes).toBeGreaterThan(0);
  });

  test("leaves the queue while waiting, and the others in it", async () => {
    const packer = open({ workers: 1 });
    const running = new AbortController();
    const waiting = new AbortController();
    const first = packer.pack(request([huge], { signal: running.signal }));
    const second = packer.pack(request(paths.slice(0, 1), { signal: waiting.signal }));
    const third = packer.pack(request(paths.slice(1, 2)));
    waiting.abort(new Error("second"));
    await expect(second).rejects.toThrow(/second/);
    running.abort(new Error("first"));
    await expect(first).rejects.toThrow(/first/);
    expect((await third).sizeBytes).toBeGreaterThan(0);
  });
});

describe("close", () => {
  test("rejects what runs and what waits, and every request after it", async () => {
    const packer = open({ workers: 1 });
    const all = [packer.pack(request([huge])), packer.pack(request(paths.slice(0, 1)))];
    const settled = Promise.allSettled(all);
    await packer.close();
    for (const result of await settled) {
      assert(result.status === "rejected");
      expect(String(result.reason)).toMatch(/the packer was closed/);
    }
    await expect(packer.pack(request(paths.slice(0, 1)))).rejects.toThrow(/the packer is closed/);
    await packer.close();
  });
});
