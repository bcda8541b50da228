// Files as streams: whole, in part, and left in the middle.

import { readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { openFile, READ_CHUNK_BYTES } from "../../../origin/storage/read-file.ts";
import { temporaryDirectory } from "../fixture.ts";

const BYTES = Buffer.alloc(3 * READ_CHUNK_BYTES + 5, "0123456789abcdef-");
const ALL = BYTES.length;

async function write(bytes: Uint8Array): Promise<string> {
  const path = join(await temporaryDirectory(onTestFinished), "file");
  await writeFile(path, bytes);
  return path;
}

/** How many descriptors this process has of a file. */
async function descriptorsOf(path: string): Promise<number> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`));
  const open = await Promise.allSettled(links);
  return open.filter((each) => each.status === "fulfilled" && each.value === path).length;
}

test.for([
  { what: "a whole file", range: null },
  { what: "its first byte", range: { offset: 0, length: 1 } },
  { what: "a chunk, to its last byte", range: { offset: 7, length: READ_CHUNK_BYTES } },
  { what: "its end", range: { offset: ALL - 3, length: 3 } },
  { what: "what there is of a range beyond its end", range: { offset: ALL - 3, length: 9 } },
])("reads $what, and closes it", async ({ range }) => {
  const path = await write(BYTES);
  const { offset, length } = range ?? { offset: 0, length: ALL };
  const read = Buffer.from(await new Response(await openFile(path, range)).arrayBuffer());
  expect(read.equals(BYTES.subarray(offset, offset + length))).toBe(true);
  expect(await descriptorsOf(path)).toBe(0);
});

test("reads an empty file to its end", async () => {
  const stream = await openFile(await write(Buffer.alloc(0)), null);
  expect(await new Response(stream).text()).toBe("");
});

test("is undefined where there is no file", async () => {
  expect(await openFile("/nonexistent/file", null)).toBeUndefined();
});

test.for([0, 1, 2, 3])("closes what is left after %i chunks, with one on its way", async (read) => {
  const path = await write(BYTES);
  const reader = (await openFile(path, null))?.getReader();
  for (let count = 0; count < read; count += 1) await reader?.read();
  // Whatever reads ahead does so meanwhile.
  for (let turn = 0; turn < 100; turn += 1) await setImmediate();
  const next = reader?.read();
  await reader?.cancel("left");
  await next;
  await setImmediate();
  expect(await descriptorsOf(path)).toBe(0);
});
