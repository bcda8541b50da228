// The web site of WEB_DIR: one table of requests against a real server, and what a visitor never sees.

import { execFileSync } from "node:child_process";
import { mkdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { endOfFile, temporaryDirectory } from "../fixture.ts";
import { type House, plantSet, startHouse } from "../house.ts";

const atEnd = endOfFile();
const SECRET = "nobody may read this";
const LARGE_BYTES = 3_000_000;
let house: House;
let web: string;

beforeAll(async () => {
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
  test.for(files)("GET and HEAD of %s with %s", async ([path, type, body]) => {
    const get = await house.request(path);
    const bytes = await get.bytes();
    const head = await house.request(path, { method: "HEAD" });
    expect([get.status, head.status]).toStrictEqual([200, 200]);
    expect(get.headers.get("Content-Type")).toBe(type);
    if (typeof body === "string") expect(Buffer.from(bytes).toString()).toBe(body);
    else expect(bytes).toHaveLength(body);
    expect(get.headers.get("Content-Length")).toBe(String(bytes.length));
    expect(get.headers.get("X-Content-Type-Options")).toBe("nosniff");
    for (const name of ["ETag", "Content-Length", "Content-Type", "Cache-Control"]) {
      expect(head.headers.get(name), name).toBe(get.headers.get(name));
    }
    expect(await head.bytes()).toHaveLength(0);
  });

  test.for(["/absent", "/empty/", "/docs/absent", "/index.html/", "/.env", "/.git/config"])(
    "404 to %s",
    (path) => isAbsent(path),
  );
  test.for(["/leak.txt", "/leak/secret.txt", "/shown/config", "/loop", "/pipe"])(
    "404 to the link, or what is no file, %s",
    (path) => isAbsent(path),
  );

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
      expect(said).toMatch(/^HTTP\/1\.1 404 /);
      expect(!said.includes(SECRET) && !said.includes("root:"), said).toBe(true);
    });
  }

  test("a folder asked for without its slash with where it is", async () => {
    const response = await house.request("/docs?x=1", { redirect: "manual" });
    expect(response.status).toBe(301);
    expect(response.headers.get("Location")).toBe("/docs/?x=1");
  });

  test("405 and Allow to whoever wants to write", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await house.request("/index.html", { method });
      expect(response.status, method).toBe(405);
      expect(response.headers.get("Allow")).toBe("GET, HEAD");
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
    expect([same.status, await same.text()]).toStrictEqual([304, ""]);
    await write("two");
    await utimes(path, 2, 2);
    const changed = await ask(first);
    expect([changed.status, await changed.text()]).toStrictEqual([200, "two"]);
    expect(changed.headers.get("ETag")).not.toBe(first);
  });

  test("a part of a large file", async () => {
    const ask = (range: string) => house.request("/large.bin", { headers: { Range: range } });
    const part = await ask("bytes=2999990-");
    expect(part.status).toBe(206);
    expect(part.headers.get("Content-Range")).toBe("bytes 2999990-2999999/3000000");
    expect(await part.bytes()).toHaveLength(10);
    expect((await ask("bytes=3000000-")).status).toBe(416);
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
      expect(response.headers.get("Content-Type"), path).toBe("application/json");
    }
  });
});

test("a folder that is not there is 404 with a warning, and served once it is there", async () => {
  const path = join(await temporaryDirectory(onTestFinished), "later");
  const set = await plantSet(onTestFinished);
  const house = await startHouse(onTestFinished, set, await temporaryDirectory(onTestFinished), {
    WEB_DIR: path,
  });
  expect(house.lines.some(({ msg }) => msg.startsWith("WEB_DIR is no folder"))).toBe(true);
  expect((await house.request("/")).status).toBe(404);
  expect((await house.request("/v2/")).status).toBe(200);
  await mkdir(path);
  await writeFile(join(path, "index.html"), "now");
  expect(await (await house.request("/")).text()).toBe("now");
});

async function isAbsent(path: string): Promise<void> {
  const response = await house.request(path);
  const body = await response.text();
  expect(response.status, body).toBe(404);
  expect(body, body).not.toContain(SECRET);
}

/** The answer to a path that is sent as it is. */
async function ask(path: string): Promise<string> {
  const { hostname, port } = new URL(house.origin.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return text(socket);
}
