// Several ranges at once: which are answered so, their text, and the reads that it takes.

import { assert, describe, expect, test } from "vitest";
import { multipartBody } from "../../../registry/http/byteranges.ts";
import { planBlob } from "../../../registry/http/content.ts";
import type { ByteRange } from "../../../registry/http/ranges.ts";
import { digestOfText } from "../fixture.ts";
import { readMultipart } from "./multipart.ts";

const DIGEST = digestOfText("content");
const MIB = 1024 * 1024;

function plan(ranges: string, sizeBytes: number, headers = {}) {
  const request = { method: "GET", headers: new Headers({ Range: `bytes=${ranges}`, ...headers }) };
  return planBlob(request, { digest: DIGEST, sizeBytes, givesSeveral: true });
}

/** Gives ranges of bytes in pieces of that size, and notes them. */
function source(bytes: Uint8Array, pieceBytes: number) {
  const reads: ByteRange[] = [];
  let open = 0;
  return {
    reads,
    open: () => open,
    async openRange(range: ByteRange): Promise<ReadableStream<Uint8Array>> {
      reads.push(range);
      open += 1;
      const end = Math.min(range.offset + range.length, bytes.length);
      let at = range.offset;
      return new ReadableStream({
        pull(controller) {
          if (at >= end) {
            open -= 1;
            controller.close();
            return;
          }
          const next = Math.min(end, at + pieceBytes);
          controller.enqueue(bytes.slice(at, next));
          at = next;
        },
        cancel() {
          open -= 1;
        },
      });
    },
  };
}

describe("several ranges of 1000 bytes", () => {
  const rows: readonly [ranges: string, answer: "whole" | "unsatisfiable" | readonly string[]][] = [
    ["0-1,5-6", ["0-1", "5-6"]],
    // Podman counts the parts, so that what touches is not put together.
    ["0-9,10-19,20-29", ["0-9", "10-19", "20-29"]],
    ["79-97,211-717,741-890", ["79-97", "211-717", "741-890"]],
    ["0-1, 5-6 ,\t10-", ["0-1", "5-6", "10-999"]],
    ["0-1,-5", ["0-1", "995-999"]],
    ["0-1,990-5000", ["0-1", "990-999"]],
    ["0-1,990-9223372036854775807", ["0-1", "990-999"]],
    ["0-1,5-6,1000-", ["0-1", "5-6"]],
    ["0-1,1000-", ["0-1"]],
    ["2000-,-5", ["995-999"]],
    ["1000-,2000-3000", "unsatisfiable"],
    ["1000-,-0", "unsatisfiable"],
    ["0-5,5-9", "whole"],
    ["0-,0-", "whole"],
    ["-5,-5", "whole"],
    ["5-6,0-1", "whole"],
    ["0-1,9-2", "whole"],
    ["0-1,", "whole"],
    ["0-1,a-b", "whole"],
    ["0-1=2-3", "whole"],
  ];
  test.for(rows)("%s are answered as %s", async ([ranges, answer]) => {
    const { status, headers, range, parts } = plan(ranges, 1000);
    if (answer === "whole") {
      expect([status, range, parts]).toStrictEqual([200, null, null]);
      return;
    }
    if (answer === "unsatisfiable") {
      expect([status, headers.get("Content-Range")]).toStrictEqual([416, "bytes */1000"]);
      return;
    }
    expect(status).toBe(206);
    if (answer.length === 1) {
      expect([headers.get("Content-Range"), parts]).toStrictEqual([
        `bytes ${answer[0]}/1000`,
        null,
      ]);
      return;
    }
    assert(parts);
    expect([range, headers.get("Content-Range")]).toStrictEqual([null, null]);
    const content = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
    const { openRange, reads, open } = source(content, 7);
    const body = await new Response(await multipartBody(parts, openRange)).bytes();
    expect(headers.get("Content-Length")).toBe(String(body.length));
    const read = readMultipart(headers.get("Content-Type"), body);
    expect(read.map(({ contentRange }) => contentRange)).toStrictEqual(
      answer.map((place) => `bytes ${place}/1000`),
    );
    for (const { type, contentRange, bytes } of read) {
      const [first = Number.NaN, last = Number.NaN] =
        contentRange?.match(/\d+/g)?.map(Number) ?? [];
      expect(bytes).toStrictEqual(content.slice(first, last + 1));
      expect(type).toBe("application/octet-stream");
    }
    expect([reads.length, open()]).toStrictEqual([1, 0]);
  });

  test("are the whole where the caller gives one at a time, and at most podman's 1024", () => {
    const request = { method: "GET", headers: new Headers({ Range: "bytes=0-1,5-6" }) };
    expect(planBlob(request, { digest: DIGEST, sizeBytes: 1000 }).status).toBe(200);
    const many = (count: number) =>
      plan(Array.from({ length: count }, (_, index) => `${index * 9}-${index * 9}`).join(), 1e6);
    expect(many(1024).parts?.parts).toHaveLength(1024);
    expect(many(1025).status).toBe(200);
    expect(plan(`0-1,${" ".repeat(70_000)}5-6`, 1000).status).toBe(200);
  });

  test("are under the same conditions as one", () => {
    expect(plan("0-1,5-6", 1000, { "If-Range": `"${DIGEST}"` }).status).toBe(206);
    expect(plan("0-1,5-6", 1000, { "If-Range": '"another"' }).status).toBe(200);
    expect(plan("0-1,5-6", 1000, { "If-None-Match": `"${DIGEST}"` }).status).toBe(304);
  });
});

describe("the reads of several ranges", () => {
  const content = new Uint8Array(64 * MIB);
  const readsOf = async (ranges: string) => {
    const { parts } = plan(ranges, content.length);
    assert(parts);
    const { openRange, reads } = source(content, MIB);
    const body = await new Response(await multipartBody(parts, openRange)).bytes();
    expect(body.length).toBe(parts.sizeBytes);
    return reads;
  };

  test("are one over small gaps, and leap over large ones", async () => {
    const ranges = `0-9,${MIB}-${MIB + 9},${3 * MIB}-${3 * MIB + 9},${60 * MIB}-`;
    expect(await readsOf(ranges)).toStrictEqual([
      { offset: 0, length: MIB + 10 },
      { offset: 3 * MIB, length: 10 },
      { offset: 60 * MIB, length: 4 * MIB },
    ]);
  });

  test("are sixteen at most", async () => {
    const places = Array.from({ length: 30 }, (_, index) => index * 2 * MIB + index * 100);
    const reads = await readsOf(places.map((place) => `${place}-${place + 9}`).join());
    expect(reads).toHaveLength(16);
  });
});

test("a body whose source ends early ends in an error, and leaves no source open", async () => {
  const { parts } = plan("0-1,990-999", 1000);
  assert(parts);
  const { openRange, open } = source(new Uint8Array(995), 100);
  const body = await multipartBody(parts, openRange);
  await expect(new Response(body).bytes()).rejects.toThrow(/ended early/);
  expect(open()).toBe(0);
});

test("a reader that leaves leaves no source open", async () => {
  const { parts } = plan("0-1,990-999", 1000);
  assert(parts);
  const { openRange, open } = source(new Uint8Array(1000), 100);
  const reader = (await multipartBody(parts, openRange)).getReader();
  await reader.read();
  expect(open()).toBe(1);
  await reader.cancel();
  expect(open()).toBe(0);
});
