// What is found of a deployment: nothing of the real edge, and of one that lies, each lie by the check that
// is there for it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createDeployment } from "../../../origin/smoke/deployment.ts";
import type { Credentials } from "../../../origin/smoke/login.ts";
import { type Checked, smoke } from "../../../origin/smoke/smoke.ts";
import { PASSWORD, policyOf } from "../../edge/access/policy.ts";
import { registryError } from "../../edge/fake-origin.ts";
import { stockOf } from "../../edge/stock.ts";
import { startWorld, type World } from "../../edge/world.ts";
import { freePort } from "../../free-port.ts";
import { pinOf } from "../../registry/fixture.ts";

const COMMAND = fileURLToPath(new URL("../../../origin/command/smoke.ts", import.meta.url));
const IMAGE = { repository: "git", tag: "latest" };
const CHECKS = [
  ...["ping", "login", "cold pull", "pull by tag", "warm pull", "pull by digest"],
  ...["heads", "blobs", "ranges", "unknown", "nonsense", "writing"],
];

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}
interface Said {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}
/** What is said instead of what the edge has said; undefined for the same. */
type Lie = (asked: Asked, said: Said) => Partial<Said> | undefined;

let world: World;
let proxy: Server;
let proxyUrl: string;
let lie: Lie;

/** An edge that has one image, in front of an origin that has nothing. */
async function startShelf(options: Parameters<typeof startWorld>[0] = {}): Promise<World> {
  const shelf = await startWorld(options);
  const stock = await stockOf(["git"]);
  shelf.origin.answering = ({ path }) =>
    path.includes("/blobs/") ? registryError(404, "BLOB_UNKNOWN", "none") : undefined;
  const pin = pinOf("a".repeat(40));
  await shelf.backfill(stock, { tag: "latest", pin, repositories: ["git"] });
  return shelf;
}

beforeAll(async () => {
  world = await startShelf();
  proxy = createServer((request, response) => {
    const { method = "", url: path = "", headers } = request;
    void answer({ method, path, headers }).then(({ status, headers: told, body }) => {
      response.writeHead(status, Object.fromEntries(told));
      response.end(method === "HEAD" ? undefined : body);
    });
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(async () => {
  proxy.close();
  await world.close();
});
beforeEach(() => {
  lie = () => undefined;
});

async function answer(asked: Asked): Promise<Said> {
  const { method, path } = asked;
  const names = ["range", "if-none-match", "accept", "authorization"];
  const headers = Object.fromEntries(
    names.flatMap((name) => (asked.headers[name] ? [[name, `${asked.headers[name]}`]] : [])),
  );
  const real = await world.pull(path, { method, headers });
  const { status } = real;
  const said = { status, headers: new Headers(real.headers), body: await real.bytes() };
  said.headers.delete("Test-Operations");
  said.headers.delete("Transfer-Encoding");
  const told = { ...said, ...lie(asked, said) };
  // Else a body of another length is no answer at all.
  if (told.body !== said.body) told.headers.set("Content-Length", String(told.body.length));
  return told;
}

async function look(credentials: Credentials | null = null): Promise<readonly Checked[]> {
  const deployment = createDeployment({ url: proxyUrl, credentials, waitMs: 0 });
  return smoke({ deployment, image: IMAGE, cold: IMAGE, onChecked: () => undefined });
}

const ended = (all: readonly Checked[], as: Checked["outcome"]) =>
  all.filter(({ outcome }) => outcome === as).map(({ check }) => check);

test("the real edge passes each check", async () => {
  const all = await look();
  expect(all.filter(({ outcome }) => outcome !== "ok")).toStrictEqual([]);
  expect(all.map(({ check }) => check)).toStrictEqual(CHECKS);
});

/** In the headers of what is asked for by this method at a path like this. */
function header(like: RegExp, name: string, value: string | null, method = "GET"): Lie {
  return (asked, { headers }) => {
    if (asked.method !== method || !like.test(asked.path)) return undefined;
    if (value === null) headers.delete(name);
    else headers.set(name, value);
    return { headers };
  };
}

function status(like: RegExp, instead: number, when = (_: Asked) => true): Lie {
  return (asked) => (like.test(asked.path) && when(asked) ? { status: instead } : undefined);
}

const changed = (bytes: Uint8Array) => bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte));
function bytes(like: RegExp, when = (_: Asked) => true): Lie {
  return (asked, { body }) =>
    asked.method === "GET" && like.test(asked.path) && when(asked)
      ? { body: changed(body) }
      : undefined;
}

const TAG = /git\/manifests\/latest$/;
const DIGEST = /manifests\/sha256:(?!0{64})/;
const BLOB = /blobs\/sha256:(?!0{64})/;
const isRange = ({ headers }: Asked) => headers.range !== undefined;
const isWhole = (asked: Asked) => !isRange(asked);
const ofManifests = ["pull by tag", "warm pull", "pull by digest", "heads", "blobs", "ranges"];

const LIES: readonly (readonly [what: string, lie: Lie, checks: readonly string[]])[] = [
  ["is no registry", header(/^\/v2\/$/, "Docker-Distribution-API-Version", null), ["ping"]],
  ["may be kept by a cache", header(/^\/v2\/$/, "Cache-Control", "max-age=60", "HEAD"), ["ping"]],
  ["has other bytes under a tag", bytes(TAG), ["cold pull", "pull by tag"]],
  [
    "has a tag kept by caches",
    header(TAG, "Cache-Control", "public"),
    ["cold pull", "pull by tag"],
  ],
  [
    "has a tag of a page's type",
    header(TAG, "Content-Type", "text/html"),
    ["cold pull", "pull by tag"],
  ],
  ["asks its origin each time", header(TAG, "Cache-Status", "nixport; fwd=miss"), ["warm pull"]],
  ["has other bytes under a digest", bytes(DIGEST), ["pull by digest"]],
  ["has a digest kept by nobody", header(DIGEST, "Cache-Control", "no-store"), ["pull by digest"]],
  [
    "sends again what a client has",
    status(DIGEST, 200, ({ headers }) => headers["if-none-match"] !== undefined),
    ["pull by digest"],
  ],
  ["says another length to HEAD", header(TAG, "Content-Length", "1", "HEAD"), ["heads"]],
  ["knows no HEAD of blobs", status(BLOB, 404, ({ method }) => method === "HEAD"), ["heads"]],
  ["has other bytes in a blob", bytes(BLOB, isWhole), ["cold pull", "blobs", "ranges"]],
  [
    "cuts a blob short",
    (asked, { body }) =>
      BLOB.test(asked.path) && isWhole(asked) && asked.method === "GET"
        ? { body: body.subarray(0, body.length - 1) }
        : undefined,
    ["cold pull", "blobs", "ranges"],
  ],
  ["lets a proxy code blobs", header(BLOB, "Cache-Control", "public"), ["cold pull", "blobs"]],
  ["has other bytes in a range", bytes(BLOB, isRange), ["ranges"]],
  ["answers ranges in full", status(BLOB, 200, isRange), ["ranges"]],
  ["says a range is another", header(BLOB, "Content-Range", "bytes 0-1/2"), ["ranges"]],
  [
    "has a page for what is unknown",
    header(/blobs\/sha256:0+$/, "Content-Type", "text/html"),
    ["unknown"],
  ],
  [
    "has what is unknown kept",
    header(/no-such-package/, "Cache-Control", "max-age=9"),
    ["unknown"],
  ],
  ["is down for what is unknown", status(/manifests\/sha256:0+$/, 503), ["unknown"]],
  ["takes any name", status(/No_Name/, 404), ["nonsense"]],
  ["lets anybody write", status(/^\/ingest\/pointers$/, 200), ["writing"]],
  ["lets anybody push", status(/blobs\/uploads/, 202), ["writing"]],
  ["wants a password", status(/^\/v2\/$/, 401), ["ping", "login"]],
  ["has no image", status(TAG, 404), ["cold pull", "pull by tag"]],
];
test.for(LIES)("one that %s is found out", async ([, told, checks]) => {
  lie = told;
  const all = await look();
  expect(ended(all, "failed")).toStrictEqual(checks);
  const isLost = checks.includes("pull by tag");
  expect(ended(all, "not checked")).toStrictEqual(isLost ? ofManifests.slice(1) : []);
});

/** A registry for one user, by name and password, or by a token for them. */
function guarded(scheme: "Basic" | "Bearer", password: string, isShut = true): Lie {
  const basic = `Basic ${btoa(`someone:${password}`)}`;
  const right = scheme === "Basic" ? basic : "Bearer right";
  const challenge = {
    Basic: 'Basic realm="registry"',
    Bearer: `Bearer realm="${proxyUrl}/token",service="registry",scope="repository:git:pull"`,
  };
  return ({ path, headers: { authorization } }) => {
    if (path.startsWith("/token?service=registry&scope=repository")) {
      const body = new TextEncoder().encode('{"token":"right"}');
      return { status: authorization === basic ? 200 : 401, headers: new Headers(), body };
    }
    if (!isShut || authorization === right || !path.startsWith("/v2/")) return undefined;
    return {
      status: 401,
      headers: new Headers({
        "WWW-Authenticate": challenge[scheme],
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
      }),
      body: new TextEncoder().encode('{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}'),
    };
  };
}

describe.for(["Basic", "Bearer"] as const)("one that is shut, by %s,", (scheme) => {
  test("lets who knows the password in, and nobody else", async () => {
    lie = guarded(scheme, "right");
    const all = await look({ user: "someone", password: "right" });
    expect(all.filter(({ outcome }) => outcome !== "ok")).toStrictEqual([]);
    expect(all[1]?.saw).toBe("as someone; no other password does");
  });

  test("is not passed with another password, or without", async () => {
    lie = guarded(scheme, "right");
    for (const credentials of [{ user: "someone", password: "other" }, null]) {
      expect(ended(await look(credentials), "failed")).toEqual(
        expect.arrayContaining(["ping", "login", "pull by tag"]),
      );
    }
  });
});

test("one with a policy passes for whom it lets in, and lets nobody else", async () => {
  const open = world;
  const policy = await policyOf("https://issuer.example");
  world = await startShelf({ policy });
  try {
    const all = await look({ user: "all", password: PASSWORD });
    expect(all.filter(({ outcome }) => outcome !== "ok")).toStrictEqual([]);
    expect(ended(await look(), "failed")).toEqual(expect.arrayContaining(["login", "pull by tag"]));
  } finally {
    await world.close();
    world = open;
  }
});

test("one that takes any password is found out", async () => {
  lie = guarded("Basic", "right", false);
  const all = await look({ user: "someone", password: "right" });
  expect(ended(all, "failed")).toStrictEqual(["login"]);
});

describe("npm run smoke", () => {
  async function run(...args: readonly string[]) {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: "pipe" });
    const [[code], stdout, stderr] = await Promise.all([
      once(child, "exit"),
      text(child.stdout),
      text(child.stderr),
    ]);
    return { code, stdout, stderr };
  }

  test("prints a line for each check, and exits with 0", async () => {
    const { code, stdout } = await run(`${proxyUrl}/`);
    const lines = stdout.trim().split("\n");
    expect(lines.slice(0, -1).map((line) => line.slice(13, 29).trim())).toStrictEqual(CHECKS);
    expect(lines.at(-1)).toBe("0 failed, 11 ok, 1 not checked");
    expect(code).toBe(0);
  });

  test("gives programs the same, and exits with 1 where a check failed", async () => {
    lie = bytes(BLOB, isRange);
    const { code, stdout } = await run("--json", "--image", "iana-etc/git:latest", proxyUrl);
    const { url, checks } = JSON.parse(stdout);
    expect([code, url, ended(checks, "failed")]).toStrictEqual([1, proxyUrl, ["ranges"]]);
    expect(checks[8].saw).toMatch(/^\/v2\/iana-etc\/git\/blobs\/.* gives other bytes/);
  });

  test("fails where nothing answers, and says so", async () => {
    const { code, stdout } = await run(`http://127.0.0.1:${await freePort()}`);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed +ping .*gives no whole answer: .*ECONNREFUSED/);
  });

  const wrong = [[], ["one", "two"], ["ftp://127.0.0.1"], ["--image", "a@b", "http://127.0.0.1"]];
  test.for(wrong)("exits with 2 for %j", async (args) => {
    expect((await run(...args)).code).toBe(2);
  });

  test("explains itself", async () => {
    const { code, stdout } = await run("--help");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^usage: npm run smoke/)]);
  });
});
