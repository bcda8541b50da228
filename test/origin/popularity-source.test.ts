// Popularity data: from the configured URL, else beside a local package set, else none.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { NO_POPULARITY } from "../../origin/layers/popularity.ts";
import { readPopularity } from "../../origin/popularity-source.ts";
import type { Source } from "../../origin/sources/source.ts";
import { storePathOf } from "../registry/fixture.ts";
import { temporaryDirectory } from "./fixture.ts";

const NIXPKGS: Source = { kind: "nixpkgs", url: "/nowhere", channel: "x" };
const GLIBC = storePathOf("glibc-2.36");
const { signal } = new AbortController();

async function serve(t: TestContext, status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/popularity.json`;
}

describe("readPopularity", { timeout: 20_000 }, () => {
  test("has none where nothing is configured and no file lies beside the set", async (t) => {
    assert.equal(await readPopularity(null, NIXPKGS, signal), NO_POPULARITY);
    const path = await temporaryDirectory(t);
    assert.equal(await readPopularity(null, { kind: "path", path }, signal), NO_POPULARITY);
  });

  test("reads the file beside a local set", async (t) => {
    const path = await temporaryDirectory(t);
    await writeFile(join(path, "popularity.json"), '{"glibc-2.36": 42}');
    const popularity = await readPopularity(null, { kind: "path", path }, signal);
    assert.equal(popularity.count(GLIBC), 42);
  });

  test("reads the configured URL, and that before the file", async (t) => {
    const path = await temporaryDirectory(t);
    await writeFile(join(path, "popularity.json"), '{"glibc": 1000}');
    const url = await serve(t, 200, '{"glibc-2.30": 300000}');
    for (const source of [NIXPKGS, { kind: "path", path } as const]) {
      assert.equal((await readPopularity(url, source, signal)).count(GLIBC), 300_000);
    }
  });

  const faults: readonly [status: number, body: string, message: RegExp][] = [
    [404, "{}", /HTTP 404/],
    [500, "{}", /HTTP 500/],
    [200, "{", /is no JSON$/],
    [200, "[1]", /is no JSON object of names and counts/],
    [200, '{"a": -1}', /is no JSON object of names and counts/],
    [200, '{"a": "1"}', /is no JSON object of names and counts/],
  ];
  for (const [status, body, message] of faults) {
    test(`ends the start when the URL answers ${status} ${body}`, async (t) => {
      const url = await serve(t, status, body);
      await assert.rejects(readPopularity(url, NIXPKGS, signal), message);
    });
  }

  test("ends the start when the file beside the set is broken", async (t) => {
    const path = await temporaryDirectory(t);
    await writeFile(join(path, "popularity.json"), "nonsense");
    await assert.rejects(readPopularity(null, { kind: "path", path }, signal), /popularity\.json/);
  });
});
