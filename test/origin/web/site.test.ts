// The web site of WEB_DIR: one table of requests against a real server, and what a visitor never sees.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const atEnd = endOfFile();
const SECRET = "nobody may read this";
const LARGE_BYTES = 3_000_000;
let house: House;
let web: string;

before(async () => {
  web = join(await temporaryDirectory(atEnd), "web");
  const outside = join(await temporaryDirectory(atEnd), "outside");
  await Promise.all([mkdir(join(web, "docs/deep"), { recursive: true }), mkdir(outside)]);
  await mkdir(join(web, ".git"));
  await mkdir(join(web, "empty"));
  const files: readonly [path: string, text: string][] = [
    [join(web, "index.html"), "<h1>front</h1>"],
    [join(web, "docs/index.html"), "<h1>docs</h1>"],
    [join(web, "docs/deep/a b.txt"), "deep"],
    [join(web, "style.css"), "p {}"],
    [join(web, "logo.svg"), "<svg/>"],
    [join(web, "data"), "\0\x01"],
    [join(web, "none.txt"), ""],
    [join(web, "v2.html"), "not the registry's"],
    [join(web, ".env"), SECRET],
    [join(web, ".git/config"), SECRET],
    [join(outside, "secret.txt"), SECRET],
    [`${web}-beside.txt`, SECRET],
  ];
  for (const [path, content] of files) await writeFile(path, content);
  await writeFile(join(web, "large.bin"), "");
  await truncate(join(web, "large.bin"), LARGE_BYTES);
  await symlink("docs/index.html", join(web, "manual.html"));
  await symlink(join(outside, "secret.txt"), join(web, "leak.txt"));
  await symlink(outside, join(web, "leak"));
  await symlink(".git", join(web, "shown"));
  await symlink("loop", join(web, "loop"));
  execFileSync("mkfifo", [join(web, "pipe")]);
  const variables = { WEB_DIR: web, NIXPORT_ACCESS: "edge", NIXPORT_SECRET: SECRET };
  const state = await temporaryDirectory(atEnd);
  house = await startHouse(atEnd, await plantSet(atEnd), state, variables);
});

const HTML = "text/html; charset=utf-8";

describe("WEB_DIR answers", { timeout: 60_000 }, () => {
  const files: readonly [path: string, type: string, body: string | number][] = [
    ["/", HTML, "<h1>front</h1>"],
    ["/?utm=1", HTML, "<h1>front</h1>"],
    ["/index.html", HTML, "<h1>front</h1>"],
    ["/docs/", HTML, "<h1>docs</h1>"],
    ["/docs/../style.css", "text/css; charset=utf-8", "p {}"],
    ["/docs/deep/a%20b.txt", "text/plain; charset=utf-8", "deep"],
    ["/logo.svg", "image/svg+xml; charset=utf-8", "<svg/>"],
    ["/data", "application/octet-stream", "\0\x01"],
    ["/none.txt", "text/plain; charset=utf-8", ""],
    ["/manual.html", HTML, "<h1>docs</h1>"],
    ["/v2.html", HTML, "not the registry's"],
    ["/large.bin", "application/octet-stream", LARGE_BYTES],
  ];
  for (const [path, type, body] of files) {
    test(`GET and HEAD of ${path} with ${type}`, async () => {
      const get = await house.request(path);
      const bytes = await get.bytes();
      const head = await house.request(path, { method: "HEAD" });
      assert.deepEqual([get.status, head.status], [200, 200]);
      assert.equal(get.headers.get("Content-Type"), type);
      if (typeof body === "string") assert.equal(Buffer.from(bytes).toString(), body);
      else assert.equal(bytes.length, body);
      assert.equal(get.headers.get("Content-Length"), String(bytes.length));
      assert.equal(get.headers.get("X-Content-Type-Options"), "nosniff");
      for (const name of ["ETag", "Content-Length", "Content-Type", "Cache-Control"]) {
        assert.equal(head.headers.get(name), get.headers.get(name), name);
      }
      assert.equal((await head.bytes()).length, 0);
    });
  }

  for (const path of [
    "/absent",
    "/empty/",
    "/docs/absent",
    "/index.html/",
    "/.env",
    "/.git/config",
  ]) {
    test(`404 to ${path}`, () => isAbsent(path));
  }
  for (const path of ["/leak.txt", "/leak/secret.txt", "/shown/config", "/loop", "/pipe"]) {
    test(`404 to the link, or what is no file, ${path}`, () => isAbsent(path));
  }

  // Below fetch, which would make a shorter path of some of them.
  for (const path of [
    "/../outside/secret.txt",
    "/docs/..%2f..%2f../outside/secret.txt",
    "/%2e%2e/outside/secret.txt",
    "/%2e%2e%2foutside/secret.txt",
    "/..%2fweb-beside.txt",
    "/..%5coutside",
    "//etc/passwd",
    "/docs//index.html",
    "/%2fetc/passwd",
    "/.%65nv",
    "/index.html%00.txt",
    `/${"a".repeat(300)}`,
  ]) {
    test(`404 to ${path.slice(0, 60)}`, async () => {
      const said = await ask(path);
      assert.match(said, /^HTTP\/1\.1 404 /);
      assert(!said.includes(SECRET) && !said.includes("root:"), said);
    });
  }

  test("a folder asked for without its slash with where it is", async () => {
    const response = await house.request("/docs?x=1", { redirect: "manual" });
    assert.equal(response.status, 301);
    assert.equal(response.headers.get("Location"), "/docs/?x=1");
  });

  test("405 and Allow to whoever wants to write", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await house.request("/index.html", { method });
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("Allow"), "GET, HEAD");
    }
  });

  test("304 while the file is the same, and the new one with another ETag after that", async () => {
    const path = join(web, "moving.txt");
    const ask = (etag: string) =>
      house.request("/moving.txt", { headers: { "If-None-Match": etag } });
    // As in a Nix store, where all times are one.
    const write = async (content: string) => {
      await rm(path, { force: true });
      await writeFile(path, content);
    };
    await write("one");
    const first = (await house.request("/moving.txt")).headers.get("ETag") ?? "";
    const same = await ask(`"x", W/${first}`);
    assert.deepEqual([same.status, await same.text()], [304, ""]);
    await write("two");
    await utimes(path, 2, 2);
    const changed = await ask(first);
    assert.deepEqual([changed.status, await changed.text()], [200, "two"]);
    assert.notEqual(changed.headers.get("ETag"), first);
  });

  test("a part of a large file", async () => {
    const ask = (range: string) => house.request("/large.bin", { headers: { Range: range } });
    const part = await ask("bytes=2999990-");
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("Content-Range"), "bytes 2999990-2999999/3000000");
    assert.equal((await part.bytes()).length, 10);
    assert.equal((await ask("bytes=3000000-")).status, 416);
  });

  test("nothing below /v2: that is the registry's", async () => {
    await mkdir(join(web, "v2"));
    await writeFile(join(web, "v2/index.html"), "a file");
    for (const path of [
      "/v2",
      "/v2/",
      "/v2/index.html",
      "/%76%32/index.html",
      "/v2%2findex.html",
    ]) {
      const response = await house.request(path);
      assert.equal(response.headers.get("Content-Type"), "application/json", path);
    }
  });
});

test("a folder that is not there is 404 with a warning, and served once it is there", async (t) => {
  const path = join(await temporaryDirectory(t), "later");
  const set = await plantSet(t);
  const house = await startHouse(t, set, await temporaryDirectory(t), { WEB_DIR: path });
  assert(house.lines.some(({ msg }) => msg.startsWith("WEB_DIR is no folder")));
  assert.equal((await house.request("/")).status, 404);
  assert.equal((await house.request("/v2/")).status, 200);
  await mkdir(path);
  await writeFile(join(path, "index.html"), "now");
  assert.equal(await (await house.request("/")).text(), "now");
});

async function isAbsent(path: string): Promise<void> {
  const response = await house.request(path);
  const body = await response.text();
  assert.equal(response.status, 404, body);
  assert(!body.includes(SECRET), body);
}

/** The answer to a path that is sent as it is. */
async function ask(path: string): Promise<string> {
  const { hostname, port } = new URL(house.origin.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return text(socket);
}
